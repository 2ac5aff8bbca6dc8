"""What `segue init` finds in a project: only what is sure."""

from __future__ import annotations

from pathlib import Path

import pytest

from segue.build.found import look
from segue.build.static_found import StaticFiles
from segue.build.web_command import WebCommand

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
ROUTE = "@app.get('/healthz')\ndef healthz(): ...\n"
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
ROUTER = "from fastapi import APIRouter\nrouter = APIRouter()\n@router.get('/health')\ndef health(): ...\n"
PREFIXED = ROUTER.replace("()", "(prefix='/v1')", 1)
URLS = "from django.urls import path\nurlpatterns = [path('health/', v), path('shop/', v)]\n"
DJANGO = {
    "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n",
    "mysite/wsgi.py": "from django.core.wsgi import get_wsgi_application as f\napplication = f()\n",
}
STARLETTE = (
    "from starlette.applications import Starlette\nfrom starlette.routing import Mount, Route\n"
    "app = Starlette(routes=[Route('/up', up), {}])\n"
)
FALCON = "import falcon\napp = falcon.App()\napp.add_route('/ping', Ping())\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


CHECKS: dict[str, tuple[dict[str, str], str | None]] = {
    "on a Flask app": ({"app.py": FLASK + ROUTE}, "/healthz"),
    "on Quart's": ({"app.py": FLASK.replace("Flask", "Quart").replace("flask", "quart") + ROUTE}, "/healthz"),
    "inside a factory": (
        {"app.py": "def create_app():\n    app = 1\n    @app.route('/ping')\n    def ping(): ...\n"},
        "/ping",
    ),
    "the more usual of two": ({"app.py": FLASK + ROUTE.replace("healthz", "ping") + ROUTE}, "/healthz"),
    "on a router": (
        {"main.py": FASTAPI + "from shop import router\napp.include_router(router)\n", "shop.py": ROUTER},
        "/health",
    ),
    "on a router that is put elsewhere": (
        {
            "main.py": FASTAPI + "from shop import router\napp.include_router(router, prefix='/api')\n",
            "shop.py": ROUTER,
        },
        None,
    ),
    "on a router with a prefix": (
        {"main.py": FASTAPI + "from shop import router\napp.include_router(router)\n", "shop.py": PREFIXED},
        None,
    ),
    "in what nobody imports": ({"main.py": FASTAPI, "shop.py": ROUTER}, None),
    "in Starlette's list": ({"app.py": STARLETTE}, "/up"),
    "in Starlette's list, below a mount": ({"app.py": STARLETTE.format("Mount('/a', routes=[])")}, None),
    "beside static files": (
        {"app.py": STARLETTE.format("Mount('/static', StaticFiles(directory='s'))")},
        "/up",
    ),
    "on a resource of Falcon's": ({"app.py": FALCON}, "/ping"),
    "in Django's root": ({**DJANGO, "mysite/urls.py": URLS}, "/health/"),
    "in another app of Django's": ({**DJANGO, "mysite/urls.py": "", "polls/urls.py": URLS}, None),
    "for POST only": ({"app.py": FLASK + "@app.route('/ping', methods=['POST'])\ndef f(): ...\n"}, None),
    "of another site": ({"app.py": FLASK + "import requests\nrequests.get('/healthz')\n"}, None),
    "with a variable": ({"app.py": FLASK + "@app.get('/up/<x>')\ndef f(x): ...\n"}, None),
    "with quotes": ({"app.py": FLASK + "@app.get('/up\"\\n')\ndef f(x): ...\n"}, None),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_route_for_health_checks_is_taken_where_it_is_sure(tmp_path: Path, name: str) -> None:
    files, path = CHECKS[name]
    found = look(write(tmp_path, files))
    assert (found.check and found.check.path) == path


KINDS = {
    "Flask": (FLASK, "wsgi"),
    "FastAPI": (FASTAPI, "asgi"),
    "Quart": ("from quart import Quart\napp = Quart('x')\n", "asgi"),
    "Starlette": (STARLETTE, "asgi"),
    "Falcon": (FALCON, "wsgi"),
    "": ("async def app(scope, receive, send): ...\n", "asgi"),
}


@pytest.mark.parametrize("framework", KINDS)
def test_the_framework_is_known_by_the_code(tmp_path: Path, framework: str) -> None:
    text, interface = KINDS[framework]
    kind = look(write(tmp_path, {"shop.py": text, "wsgi.py": "from shop import app\n"})).app.kind
    assert (kind.framework, kind.interface) == (framework, interface)


COMMANDS = {
    "gunicorn -w 3 --threads=8 -k gthread -c conf/web.py app:app": WebCommand(
        "Procfile", "gunicorn", "app:app", 3, 8, "gthread", "conf/web.py"
    ),
    "exec /usr/bin/gunicorn --worker-class uvicorn.workers.UvicornWorker app:app -w many": WebCommand(
        "Procfile", "gunicorn", "app:app", None, None, "uvicorn.workers.UvicornWorker", ""
    ),
    "python -m uvicorn --factory --workers 2 app:app": None,
    "gunicorn app:app --chdir elsewhere": None,
    "gunicorn 'app:app": None,
    "gunicorn -c /etc/passwd app:app": WebCommand("Procfile", "gunicorn", "app:app", None, None, "", ""),
}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_web_command_is_read_as_its_server_reads_it(tmp_path: Path, line: str) -> None:
    files = {"app.py": FLASK, "conf/web.py": "", "Procfile": f"web: {line}\n"}
    assert look(write(tmp_path, files)).command == COMMANDS[line]


def test_what_a_deploy_needs_besides_is_found(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "-r base.txt\n# gunicorn\n",
        "base.txt": "Flask>=3\nGunicorn[gthread]==27.0.1  # the server\n",
        "migrations/alembic.ini": "",
        "shop/__init__.py": FLASK,
        "shop/static/a.css": "",
        "shop/static/b.css": "",
        ".env.example": "SECRET_KEY=\n",
        "gunicorn.conf.py": "workers = 3\n",
    }
    found = look(write(tmp_path, files))
    assert (found.server, found.dependencies) == ("gunicorn, in base.txt", "requirements.txt")
    assert (found.migrations, found.static) == ("Alembic, in migrations/alembic.ini", ("shop/static",))
    assert (found.env_example, found.gunicorn_config) == (".env.example", True)


SETTINGS = (
    "INSTALLED_APPS = ['django.contrib.staticfiles']\n"
    "BASE_DIR = Path(__file__).resolve().parent.parent\nSTATIC_ROOT = BASE_DIR / 'out/static'\n"
)
STATIC: dict[str, tuple[dict[str, str], StaticFiles | None]] = {
    "Django's": (
        {**DJANGO, "mysite/settings.py": SETTINGS},
        StaticFiles("/static/", "out/static", "mysite/settings.py"),
    ),
    "Django's, at another place": (
        {
            **DJANGO,
            "mysite/settings.py": SETTINGS.replace("BASE_DIR / ", "os.path.join(BASE_DIR, ")
            + ")\nSTATIC_URL = 'assets/'\n",
        },
        StaticFiles("/assets/", "out/static", "mysite/settings.py"),
    ),
    "Django's, of somewhere else": (
        {**DJANGO, "mysite/settings.py": SETTINGS.replace(".parent.parent", ".parent")},
        None,
    ),
    "Django's, without a place to collect": ({**DJANGO, "mysite/settings.py": SETTINGS[:100]}, None),
    "Flask's": (
        {"app.py": FLASK, "static/a.css": ""},
        StaticFiles("/static/", "static", "static/"),
    ),
    "Flask's, in two places": ({"app.py": FLASK, "static/a.css": "", "shop/static/b.css": ""}, None),
    "FastAPI's, which mounts them where it likes": ({"main.py": FASTAPI, "static/a.css": ""}, None),
}


@pytest.mark.parametrize("case", STATIC)
def test_static_files_are_found_where_that_is_sure(tmp_path: Path, case: str) -> None:
    files, expected = STATIC[case]
    assert look(write(tmp_path, files)).static_files == expected


@pytest.mark.parametrize(
    ("dependency", "server"),
    [("flask", "gunicorn, added to what pyproject.toml names"), ("gunicorn", "gunicorn, in pyproject.toml")],
)
def test_a_bare_pyproject_is_served_in_any_case(tmp_path: Path, dependency: str, server: str) -> None:
    text = f'[project]\nname = "shop"\nversion = "1"\ndependencies = ["{dependency}"]\n'
    assert look(write(tmp_path, {"app.py": FLASK, "pyproject.toml": text})).server == server


def test_nothing_is_made_up(tmp_path: Path) -> None:
    found = look(write(tmp_path, {"app.py": FLASK}))
    assert (found.server, found.migrations, found.env_example, found.static) == ("", "", "", ())
    assert found.dependencies == "none of its own: nothing declares any"


@pytest.mark.parametrize(
    ("folder", "files", "name"),
    [
        ("Tea & Kettle", {}, "tea-kettle"),
        ("2048", {}, "app"),
        ("x", {"pyproject.toml": '[project]\nname = "Leaf.Kettle"\n'}, "leaf-kettle"),
        ("x", {"pyproject.toml": "project = 1\n"}, "x"),
    ],
)
def test_the_name_can_be_a_users(tmp_path: Path, folder: str, files: dict[str, str], name: str) -> None:
    assert look(write(tmp_path / folder, {"app.py": FLASK, **files})).name == name
