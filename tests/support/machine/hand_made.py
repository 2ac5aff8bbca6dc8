"""Services that people made by hand from a guide: one Gunicorn unit, nginx before it, and no segue."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.apps import make_app
from tests.support.machine.host import Host, booted
from tests.support.machine.shop import DOMAIN
from tests.support.site import Outcome, Traffic, traffic, until

SEGUE = "/opt/segue/bin/segue"
VENV, HOME, APP = "/srv/shop/venv", "/srv/shop", "/srv/shop/app"
UNIT, UNIT_FILE, ENV_FILE = "shop.service", "/etc/systemd/system/shop.service", "/etc/shop.env"
RELOAD_TIMEOUT = 200.0
ACCESS, ERRORS = "/var/log/nginx/access.log", "/var/log/nginx/error.log"
GUNICORN = f"{VENV}/bin/gunicorn"

_SITE = f"""\
server {{
    listen 80;
    server_name {DOMAIN};
    location / {{
        proxy_pass http://TO;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}
}}
"""


@dataclass(frozen=True)
class Kind:
    """One way to make a service by hand.

    Attributes:
        command: its ExecStart.
        upstream: where nginx leads to.
        service: more lines of its `[Service]`.
        socket: its socket unit; empty where it has none.
        folder: its WorkingDirectory.
        django: whether its app is Django's.
    """

    command: str
    upstream: str
    service: str = ""
    socket: str = ""
    folder: str = APP
    django: bool = False


_UNIX = "unix:/run/shop/shop.sock"

KINDS = {
    "unix": Kind(f"{GUNICORN} --workers 2 --bind {_UNIX} wsgi:app", _UNIX, "RuntimeDirectory=shop"),
    # https://docs.gunicorn.org/en/stable/deploy.html#systemd
    "activated": Kind(
        f"{GUNICORN} --workers 2 wsgi:app",
        "unix:/run/gunicorn.sock",
        "Type=notify\nNotifyAccess=main\nRuntimeDirectory=gunicorn\nKillMode=mixed\nTimeoutStopSec=5\n"
        "PrivateTmp=true\nProtectSystem=strict\nProtectHome=yes\nNoNewPrivileges=yes",
        "[Socket]\nListenStream=/run/gunicorn.sock\nSocketUser=www-data\nSocketMode=0660\n",
    ),
    "tcp": Kind(f"{GUNICORN} --workers 2 --threads 4 --bind 127.0.0.1:8000 wsgi:app", "127.0.0.1:8000"),
}
# a folder for each release, and a link that Gunicorn knows by its name
RELEASES = Kind(
    f"{GUNICORN} --workers 2 --chdir {HOME}/current --bind {_UNIX} wsgi:app",
    _UNIX,
    "RuntimeDirectory=shop",
    folder=f"{HOME}/current",
)
# the same, but for what makes it follow
STALE = Kind(
    f"{GUNICORN} --workers 2 --bind {_UNIX} wsgi:app",
    _UNIX,
    "RuntimeDirectory=shop",
    folder=f"{HOME}/current",
)


# as `django-admin startproject` has it, less what the shop does not need
DJANGO_UNIT = Kind(
    f"{GUNICORN} --workers 2 --threads 2 --chdir {HOME}/current --bind {_UNIX} shop.wsgi:application",
    _UNIX,
    "Type=notify\nRuntimeDirectory=shop\nKillMode=mixed",
    folder=f"{HOME}/current",
    django=True,
)
_DJANGO = {
    "shop/__init__.py": "",
    "shop/settings.py": f"""\
SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["{DOMAIN}"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
""",
    "shop/urls.py": """\
import time
from django.http import HttpResponse
from django.urls import path

time.sleep(IMPORT_SECONDS)
urlpatterns = [
    path("", lambda request: HttpResponse("VERSION")),
    path("healthz", lambda request: HttpResponse("ok")),
]
""",
    "shop/wsgi.py": """\
import os
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
import shop.urls
""",
}


_ALL_ACCEPT = """
import sys
from segue.reload.listening import accepts, listeners
from segue.reload.master import read_master
master = read_master(int(sys.argv[1]), ())
sys.exit(not all(accepts(worker.pid, listeners(master.pid)) for worker in master.workers()))
"""


@dataclass
class HandMade:
    """A service that runs on `host`."""

    host: Host
    kind: Kind

    def write_app(self, version: str, folder: str = APP, added: str = "", **behaviour: Any) -> None:
        """Put a version of the app into `folder`; `added` ends its wsgi.py."""
        files = _django(version, **behaviour) if self.kind.django else _plain(version, added, **behaviour)
        for name, text in files.items():
            self.host.write(f"{folder}/{name}", text)

    def write_unit(self, command: str = "", extra: str = "") -> None:
        """Write its unit, and tell systemd."""
        kind = self.kind
        requires = "Requires=shop.socket\n" if kind.socket else ""
        text = (
            f"[Unit]\nDescription=gunicorn for the shop\n{requires}After=network.target\n"
            f"[Service]\nUser=shop\nGroup=www-data\nWorkingDirectory={kind.folder}\n"
            f"ExecStart={command or kind.command}\nExecReload=/bin/kill -s HUP $MAINPID\n"
            f"{kind.service}\n{extra}\n"
        )
        self.host.write(UNIT_FILE, text)
        if kind.socket:
            self.host.write("/etc/systemd/system/shop.socket", kind.socket)
        self.host.run("systemctl", "daemon-reload")

    def start(self) -> None:
        """Start it, and wait until users are answered."""
        if self.kind.socket:
            self.host.run("systemctl", "start", "shop.socket")
        self.host.run("systemctl", "reset-failed", UNIT, check=False)
        self.host.run("systemctl", "restart", UNIT)
        until(lambda: self.answer("/healthz") == "ok", 60, "the service's first answer")
        # a worker that imports still would meet what a test writes next, and end the master
        until(self.is_complete, 60, "all its workers")
        # what was answered before it listened
        self.host.run("truncate", "--size=0", ACCESS, ERRORS)

    def is_complete(self) -> bool:
        """Whether it has all its workers, and each of them accepts."""
        argv = ("/opt/segue/bin/python", "-c", _ALL_ACCEPT, str(self.main_pid()))
        return len(self.workers()) > 1 and self.host.run(*argv, check=False).code == 0

    def lead(self, release: str) -> None:
        """Have `current` lead to a release."""
        self.host.run("ln", "-sfn", f"{HOME}/releases/{release}", f"{HOME}/current")

    def reload(self, *words: str, unit: str = UNIT) -> Outcome:
        """`segue reload` of it."""
        argv = (SEGUE, "reload", "--unit", unit, "--check", "/healthz", *words)
        return self.host.run(*argv, check=False, timeout=RELOAD_TIMEOUT)

    def demand_reloaded(self, *words: str) -> dict[str, Any]:
        """Reload it, which has to go well; the receipt."""
        done = self.reload(*words, "--json")
        assert done.code == 0, f"{done.out}\n{done.err}\n{self.host.journal(UNIT)[-3000:]}"
        return done.document

    def answer(self, path: str = "/") -> str:
        """What a user is answered."""
        curl = ("curl", "-s", "--max-time", "20", "-H", f"Host: {DOMAIN}", f"http://127.0.0.1{path}")
        return self.host.run(*curl, check=False).out

    def main_pid(self) -> int:
        """Its master."""
        return int(self.host.show(UNIT, "MainPID")["MainPID"])

    def workers(self) -> set[int]:
        """Its master's children."""
        found = self.host.run("pgrep", "-P", str(self.main_pid()), check=False).out
        return {int(pid) for pid in found.split()}

    @contextlib.contextmanager
    def traffic(self, path: str = "/", rate: float = 100, **more: Any) -> Iterator[Traffic]:
        """Traffic as users send it."""
        url, way = f"http://{DOMAIN}{path}", self.host.way
        with traffic(url, rate=rate, connect=f"{self.host.address}:80", way=way, **more) as load:
            yield load

    def bad_answers(self) -> list[str]:
        """The lines of nginx's own logs that tell of failures."""
        lines = self.host.run("cat", ACCESS, check=False).out.splitlines()
        failed = [line for line in lines if '" 50' in line]
        return failed + self.host.run("cat", ERRORS, check=False).out.splitlines()


@contextlib.contextmanager
def hand_made(kind: Kind, *packages: str, **behaviour: Any) -> Iterator[HandMade]:
    """A new host with that service, whose app is version `v1`."""
    with booted() as host:
        furnish(host, *packages)
        service = HandMade(host, kind)
        prepare(service, **behaviour)
        yield service


def furnish(host: Host, *packages: str) -> None:
    """A user, an interpreter of its own, and nginx."""
    host.run("useradd", "--system", "--no-create-home", "shop")
    host.run("python3", "-m", "venv", VENV, timeout=120)
    host.run(f"{VENV}/bin/pip", "install", "--quiet", "gunicorn", *packages, timeout=120)
    host.run("rm", "-f", "/etc/nginx/sites-enabled/default")


def prepare(service: HandMade, **behaviour: Any) -> None:
    """The app, its unit, and nginx's site."""
    folder = service.kind.folder
    if folder.endswith("/current"):
        service.write_app("v1", f"{HOME}/releases/v1", **behaviour)
        service.lead("v1")
    else:
        service.write_app("v1", folder, **behaviour)
    service.write_unit()
    service.host.write("/etc/nginx/sites-enabled/shop", _SITE.replace("TO", service.kind.upstream))
    service.host.run("systemctl", "restart", "nginx")
    service.start()


def _plain(version: str, added: str, **behaviour: Any) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as made:
        make_app(Path(made), version=version, **behaviour)
        files = {name: Path(made, name).read_text() for name in ("behaviour.json", "wsgi.py")}
    return {**files, "wsgi.py": f"{files['wsgi.py']}\n{added}\n"}


def _django(version: str, import_seconds: float = 0.0) -> dict[str, str]:
    return {
        name: text.replace("VERSION", version).replace("IMPORT_SECONDS", str(import_seconds))
        for name, text in _DJANGO.items()
    }
