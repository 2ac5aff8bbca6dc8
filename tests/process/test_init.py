"""`segue init`, then `segue up`: what was written deploys as it is, and answers under traffic."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.site import Site, demand_no_loss, segue, serving, traffic, until
from tests.support.table import often

SHOP = Path(__file__).parents[2] / "examples" / "shop"
FASTAPI = """\
from fastapi import FastAPI
from .health import router

app = FastAPI()
app.include_router(router)


@app.get("/")
def home():
    return "fastapi"
"""
ROUTER = """\
from fastapi import APIRouter

router = APIRouter()


@router.get("/livez")
def livez():
    return "ok"
"""
SETTINGS = """\
SECRET_KEY = "a test's"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "mysite.urls"
"""
ENTRY = """\
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
from django.core.KIND import get_KIND_application

application = get_KIND_application()
"""
URLS = """\
from django.http import HttpResponse
from django.urls import path


def home(request):
    return HttpResponse("django")


urlpatterns = [path("", home), path("up/", home)]
"""


def shop(folder: Path) -> None:
    shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns("segue.toml", "releases", "__pycache__"))


def sample(folder: Path) -> None:
    make_app(folder, version="sample")
    (folder / "segue.toml").unlink()


def fastapi(folder: Path) -> None:
    (folder / "api").mkdir(parents=True)
    (folder / "api" / "main.py").write_text(FASTAPI)
    (folder / "api" / "health.py").write_text(ROUTER)


def django(folder: Path) -> None:
    (folder / "mysite").mkdir(parents=True)
    (folder / "manage.py").write_text('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\n')
    (folder / "mysite" / "settings.py").write_text(SETTINGS)
    (folder / "mysite" / "urls.py").write_text(URLS)
    for kind in ("wsgi", "asgi"):
        (folder / "mysite" / f"{kind}.py").write_text(ENTRY.replace("KIND", kind))


PROJECTS = {
    "shop": (shop, "wsgi:app", "/healthz", "Leaf"),
    "sample": (sample, "wsgi:app", "/", "sample"),
    "fastapi": (fastapi, "api.main:app", "/livez", "fastapi"),
    "django": (django, "mysite.wsgi:application", "/up/", "django"),
}


def get(site: Site, path: str) -> str:
    with urllib.request.urlopen(f"{site.url}{path}", timeout=20) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("name", often(PROJECTS, "shop", "django"))
def test_what_init_writes_deploys_as_it_is(tmp_path: Path, name: str) -> None:
    make, module, check, text = PROJECTS[name]
    folder = tmp_path / "project"
    make(folder)
    found = segue(folder, "init", "--json").document["found"]
    assert (found["module"], found["check"] or "/") == (module, check)
    with serving(folder) as site, traffic(f"{site.url}{check}") as load:
        until(lambda: site.segue("status", "--json").document["live"]["requests"] > 20, what="traffic")
        assert text in get(site, "/")
        started = json.loads((site.live().folder / "start.json").read_text())
    demand_no_loss(load)
    assert load.report["statuses"].keys() == {"200"}
    assert (started["module"], started["check"]["path"]) == (module, check)
