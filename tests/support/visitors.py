"""People with pages open: they ask for the files that a page named, when it was loaded and long after."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.way import NEAR, Way

from segue.core.fingerprints import is_fingerprinted

TIMEOUT = 20.0
# between two rounds of one person; enough for a switch to be met, and not a load of its own
PAUSE = 0.03
PAGE = '''\
"""A page that names its static files."""

import json
from pathlib import Path

from flask import Flask

HERE = Path(__file__).parent
app = Flask(__name__)


@app.get("/")
def page():
    return {"version": "VERSION", "assets": json.loads((HERE / "page.json").read_text())}


@app.get("/healthz")
def healthz():
    return "ok"
'''


DJANGO = {
    "manage.py": """\
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
""",
    "settings.py": """\
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent
SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.staticfiles"]
ROOT_URLCONF = "urls"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "assets"]
STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}}
""",
    "urls.py": """\
import os

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.templatetags.static import static
from django.urls import path, re_path
from django.views.static import serve

VERSION = (settings.BASE_DIR / "version").read_text()


def page(_):
    return JsonResponse({"version": VERSION, "assets": [static("app.css")]})


urlpatterns = [path("", page), path("healthz", lambda _: HttpResponse("ok"))]
if "SERVES_ITSELF" in os.environ:
    urlpatterns.append(re_path("^static/(?P<path>.*)$", serve, {"document_root": settings.STATIC_ROOT}))
""",
    "wsgi.py": """\
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.wsgi import get_wsgi_application

app = get_wsgi_application()
""",
}


def django_files(version: str) -> dict[str, str]:
    """The files of a Django project whose page names a style sheet, by path."""
    return {**DJANGO, "version": version, "assets/app.css": content_of(version)}


def content_of(version: str) -> str:
    """What is in the style sheet of `version`."""
    return f"body {{ color: {version} }}\n"


def asset_of(version: str) -> str:
    """The name of its style sheet, with a fingerprint."""
    # as bundlers do; one without a letter or a digit would not look like chance
    digest = hashlib.sha256(version.encode()).hexdigest()
    return f"css/app.{digest[:6]}a7{digest[6:10]}.css"


def page_files(version: str, url: str = "/static/") -> dict[str, str]:
    """The files of a project whose page names its static files, by path."""
    return {
        "wsgi.py": PAGE.replace("VERSION", version),
        "page.json": json.dumps([f"{url}{asset_of(version)}", f"{url}plain.css"]),
        f"static/{asset_of(version)}": content_of(version),
        "static/plain.css": content_of(version),
    }


def write_page(folder: Path, version: str) -> None:
    """Write that project, without the files of the version before."""
    for old in folder.glob("static/css/*"):
        old.unlink()
    for name, text in page_files(version).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@dataclass
class Visits:
    """What people got.

    Attributes:
        pages: the answers to ``/``, by version.
        asked: how many files they asked for.
        trouble: what was not as it should be, in words.
    """

    pages: dict[str, list[str]] = field(default_factory=dict)
    asked: int = 0
    trouble: list[str] = field(default_factory=list)


def get(url: str, path: str, host: str = "", *, way: Way = NEAR) -> tuple[int, str, http.client.HTTPMessage]:
    """The answer to a GET of `path`, on a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=TIMEOUT)
    connection.sock = way.connect(url, TIMEOUT)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers


@contextlib.contextmanager
def visitors(url: str, host: str = "", *, way: Way = NEAR) -> Iterator[Visits]:
    """People on the site at `url` from before the block to its end; none of them ever closes a page."""
    visits, enough, begun = Visits(), threading.Event(), threading.Event()

    def visit() -> None:
        while not enough.wait(PAUSE):
            with _telling(visits, "/"):
                status, text, _ = get(url, "/", host, way=way)
                page: dict[str, Any] = json.loads(text) if status == http.HTTPStatus.OK else {}
                if not page:
                    visits.trouble.append(f"/ answered {status}")
                    continue
                visits.pages[page["version"]] = page["assets"]
            for version, assets in list(visits.pages.items()):
                for path in assets:
                    with _telling(visits, path):
                        _judge(visits, version, path, *get(url, path, host, way=way)[:2])
            begun.set()

    people = [threading.Thread(target=visit) for _ in range(2)]
    for one in people:
        one.start()
    try:
        assert begun.wait(TIMEOUT)
        yield visits
    finally:
        enough.set()
        for one in people:
            one.join()


@contextlib.contextmanager
def _telling(visits: Visits, path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        visits.trouble.append(f"{path} was lost: {error!r}")


def _judge(visits: Visits, version: str, path: str, status: int, text: str) -> None:
    visits.asked += 1
    if status != http.HTTPStatus.OK:
        visits.trouble.append(f"{path} of {version} answered {status}")
    elif is_fingerprinted(path) and text != content_of(version):
        visits.trouble.append(f"{path} of {version} has other content: {text[:50]}")


def demand_content(visits: Visits) -> None:
    """Nobody missed a file."""
    assert visits.asked > 20, visits
    assert not visits.trouble, (len(visits.trouble), visits.asked, visits.trouble[:5])
