"""ASGI apps of every framework on every server: found by themselves, checked after their own startup."""

from __future__ import annotations

import json
import urllib.request
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from tests.support.apps import make_app
from tests.support.site import Site, configure, demand_no_loss, segue, serving, traffic
from tests.support.table import often

FRAMEWORKS = {
    "fastapi": """
import contextlib
from fastapi import FastAPI, Request

@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"pool": "open"}

app = FastAPI(lifespan=lifespan)

@app.get("/healthz")
async def healthz(request: Request):
    return {"pool": request.state.pool}

@app.get("/")
def home():
    return VERSION
""",
    "starlette": """
import contextlib
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

@contextlib.asynccontextmanager
async def lifespan(app):
    app.state.pool = "open"
    yield

async def healthz(request):
    return JSONResponse({"pool": request.app.state.pool})

async def home(request):
    return JSONResponse(VERSION)

app = Starlette(routes=[Route("/healthz", healthz), Route("/", home)], lifespan=lifespan)
""",
    "quart": """
from quart import Quart, current_app

app = Quart(__name__)

@app.before_serving
async def start():
    app.config["POOL"] = "open"

@app.get("/healthz")
async def healthz():
    return {"pool": current_app.config["POOL"]}

@app.get("/")
async def home():
    return f'"{VERSION}"'
""",
    "django": """
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="not one")

async def healthz(request):
    return JsonResponse({"pool": "open"})

async def home(request):
    return JsonResponse(VERSION, safe=False)

urlpatterns = [path("healthz", healthz), path("", home)]
app = get_asgi_application()
""",
}


def write(folder: Path, framework: str, version: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "wsgi.py").write_text(f"VERSION = {version!r}\n{FRAMEWORKS[framework]}")


def answer_of(site: Site, path: str = "/") -> Any:
    with urllib.request.urlopen(f"{site.url}{path}", timeout=20) as answer:
        return json.load(answer)


@pytest.mark.parametrize("server", often(["uvicorn", "gunicorn"], "uvicorn"))
@pytest.mark.parametrize("framework", often(FRAMEWORKS, "fastapi"))
def test_a_frameworks_app_is_deployed_and_loses_nothing(tmp_path: Path, framework: str, server: str) -> None:
    folder = tmp_path / "project"
    write(folder, framework, "v1")
    configure(folder, server=server, workers=1)
    with serving(folder) as site:
        assert answer_of(site, "/healthz") == {"pool": "open"}
        write(folder, framework, "v2")
        with traffic(f"{site.url}/", rate=20) as load:
            site.deploy()
        assert answer_of(site) == "v2"
    demand_no_loss(load)


def asgi_project(folder: Path, **settings: Any) -> Path:
    make_app(folder, version="v1", interface="asgi")
    configure(folder, **{"workers": 1, **settings})
    return folder


def test_without_a_word_an_asgi_app_is_run_by_uvicorn(tmp_path: Path) -> None:
    with serving(asgi_project(tmp_path / "project")) as site:
        assert (site.live().booted() or {})["server"] == "uvicorn"
        make_app(site.folder, version="v2")
        (step,) = (step for step in site.deploy()["steps"] if step["name"] == "import")
        assert step["detail"].startswith("ASGI app, for Uvicorn ")


@pytest.mark.parametrize("bind", often(["[::1]:0", "unix"], "unix"))
def test_it_serves_where_it_is_told_to(tmp_path: Path, bind: str) -> None:
    address = f"unix:{tmp_path}/sock" if bind == "unix" else bind
    with serving(asgi_project(tmp_path / "project", workers=2), bind=address) as site:
        make_app(site.folder, version="v2")
        url, connect = ("http://localhost/", site.bind) if bind == "unix" else (f"{site.url}/", "")
        with traffic(url, connect=connect) as load:
            site.deploy()
    demand_no_loss(load)


def refused(site: Site) -> dict[str, Any]:
    """What a deploy that has to be refused says; traffic on what serves loses nothing."""
    live = site.live().name
    with traffic(f"{site.url}/") as load:
        outcome = site.segue("deploy", "--json")
    demand_no_loss(load)
    assert load.report["generations"].keys() == {live}
    assert outcome.code == 1, outcome.out
    error: dict[str, Any] = outcome.document["error"]
    return error


@pytest.mark.parametrize("server", often(["uvicorn", "gunicorn", "uvicorn-worker"], "uvicorn"))
def test_what_is_not_healthy_never_serves(tmp_path: Path, server: str) -> None:
    worker = "uvicorn_worker.UvicornWorker" if server == "uvicorn-worker" else None
    words = {"server": server.partition("-")[0] if worker is None else "gunicorn", "worker_class": worker}
    with serving(asgi_project(tmp_path / "project", check_timeout="3s", **words)) as site:
        make_app(site.folder, version="v2", startup_fails=True)
        error = refused(site)
        assert (error["kind"], error["message"]) == ("startup", "The app's own startup failed.")
        assert "no database" in error["evidence"]
        make_app(site.folder, version="v3", check="hang")
        error = refused(site)
        assert error["message"] == "The check /healthz gave no answer in 3 s."
        assert "in healthz" in error["evidence"]
        make_app(site.folder, version="v4", check="404")
        assert refused(site)["message"] == "The check /healthz answered 404."
        make_app(site.folder, version="v5", check="wrong_release")
        assert refused(site)["kind"] == "wrong_release"
        make_app(site.folder, version="v6", import_error="ModuleNotFoundError")
        assert refused(site)["kind"] == "missing"
        make_app(site.folder, version="v7")
        site.deploy()


def test_a_worker_class_of_its_own_that_knows_no_lifespan_is_held_all_the_same(tmp_path: Path) -> None:
    folder = asgi_project(tmp_path / "project", server="gunicorn")
    worker = "class Worker(UvicornWorker):\n    CONFIG_KWARGS = {'lifespan': 'off'}\n"
    (folder / "worker.py").write_text(f"from uvicorn_worker import UvicornWorker\n\n{worker}")
    (folder / "gunicorn.conf.py").write_text("worker_class = 'worker.Worker'\n")
    with serving(folder) as site:
        make_app(folder, version="v2", check="404")
        assert refused(site)["message"] == "The check /healthz answered 404."


def test_an_app_that_takes_its_servers_signal_is_told_so(tmp_path: Path) -> None:
    folder = asgi_project(tmp_path / "project", server="uvicorn")
    with serving(folder) as site:
        with (folder / "wsgi.py").open("a") as file:
            file.write("\nimport signal\nsignal.signal(signal.SIGTERM, lambda *_: None)\n")
        assert "handler of SIGTERM" in refused(site)["evidence"]


def test_uvicorns_own_words_count_and_its_log_is_there(tmp_path: Path) -> None:
    folder = asgi_project(
        tmp_path / "project", server="uvicorn", workers=None, server_args=["--workers", "3", "--reload"]
    )
    with serving(folder) as site:
        booted = site.live().booted() or {}
        assert (booted["workers"], booted["overruled"]) == (3, {"reload": "True"})
        assert answer_of(site, "/pid")
        assert '"GET /pid HTTP/1.1" 200' in site.live().log.read_text()


@pytest.mark.parametrize(
    ("interface", "settings", "message"),
    [
        ("wsgi", {"server": "uvicorn"}, "Uvicorn can't run a WSGI app."),
        (
            "asgi",
            {"server": "gunicorn", "worker_class": "gthread"},
            "Gunicorn with gthread workers can't run an ASGI app.",
        ),
    ],
)
def test_an_app_that_its_server_cannot_run_is_refused(
    tmp_path: Path, interface: Any, settings: dict[str, Any], message: str
) -> None:
    make_app(tmp_path / "project", version="v1", interface=interface)
    configure(tmp_path / "project", **settings)
    outcome = segue(tmp_path / "project", "up", "--bind", "127.0.0.1:0")
    assert outcome.code == 1
    assert message in outcome.err


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_without_the_wrapper_nothing_is_added_and_nothing_is_lost(tmp_path: Path, interface: Any) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="v1", interface=interface)
    configure(folder, wrap=False)
    with serving(folder) as site:
        make_app(folder, version="v2")
        with traffic(f"{site.url}/") as load:
            receipt = site.deploy()
        with urllib.request.urlopen(f"{site.url}/", timeout=20) as answer:
            assert answer.read() == b"v2"
            assert "X-Segue-Release" not in answer.headers
    demand_no_loss(load)
    assert receipt["watch"]["new"]["requests"] == 0


BLOCKS = """
_plain = app


async def app(scope, receive, send):
    if scope.get("path") != "/block":
        return await _plain(scope, receive, send)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"blocked", "more_body": True})
    time.sleep(3)
    await send({"type": "http.response.body"})
"""


def test_a_request_that_came_while_the_loop_was_blocked_is_answered_though_its_connection_idled_too_long(
    tmp_path: Path,
) -> None:
    """Gunicorn's own ends the time of idle connections, 2 s, before it looks at what it has just read."""
    folder = tmp_path / "project"
    make_app(folder, version="v1", interface="asgi")
    with (folder / "wsgi.py").open("a") as file:
        file.write(BLOCKS)
    configure(folder, server="gunicorn", worker_class="asgi", workers=1)
    with serving(folder) as site, ExitStack() as stack:
        idle, blocking = (
            stack.enter_context(closing(HTTPConnection(site.url.removeprefix("http://")))) for _ in range(2)
        )
        idle.request("GET", "/")
        assert idle.getresponse().read() == b"v1"
        blocking.request("GET", "/block")
        assert blocking.getresponse().read(7) == b"blocked"
        idle.request("GET", "/")
        assert idle.getresponse().read() == b"v1"
