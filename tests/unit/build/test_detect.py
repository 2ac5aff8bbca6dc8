"""The app of a project that does not name it: the strongest sign wins, and a draw is a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from segue.build.detect import detect_module
from segue.core.errors import UsageError


@pytest.mark.parametrize(
    ("file", "text", "module"),
    [
        ("app.py", "app = Flask(__name__)\n", "app:app"),
        ("wsgi.py", "application = get_wsgi_application()\n", "wsgi:application"),
        ("main.py", "app: Flask = Flask(__name__)\n", "main:app"),
        ("wsgi.py", "from shop import app\n", "wsgi:app"),
        ("wsgi.py", "from shop import create_app\napp = create_app()\n", "wsgi:app"),
        ("app.py", "def create_app():\n    app = Flask(__name__)\n    return app\n", "app:create_app()"),
        ("app.py", "def create_app(config=None):\n    return Flask(__name__)\n", "app:create_app()"),
        ("app.py", "def make_app():\n    return Flask(__name__)\n", "app:make_app()"),
        ("app.py", "# \xe9\napp = 1\n", "app:app"),
        (
            "shop/__init__.py",
            "def create_app(test_config=None):\n    return Flask(__name__)\n",
            "shop:create_app()",
        ),
    ],
)
def test_an_app_or_its_factory_is_found(tmp_path: Path, file: str, text: str, module: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(text.encode("latin-1"))
    assert detect_module(tmp_path) == module


def test_wsgi_comes_before_app(tmp_path: Path) -> None:
    for name in ("app.py", "wsgi.py"):
        (tmp_path / name).write_text("app = 1\n")
    assert detect_module(tmp_path) == "wsgi:app"


@pytest.mark.parametrize(
    "text",
    ["", "apples = 1\n", "# app = 1\n", "def create_app(config):\n    pass\n", "application_name = 'x'\n"],
)
def test_what_only_looks_like_an_app_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "app.py").write_text(text)
    with pytest.raises(UsageError, match="No app was found") as error:
        detect_module(tmp_path)
    assert "wsgi.py" in error.value.evidence
    assert "segue up MODULE:APP" in error.value.hint


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
ASGI = "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n"
DJANGO = {"manage.py": MANAGE, "mysite/wsgi.py": WSGI, "mysite/asgi.py": ASGI, "polls/wsgi.py": WSGI}

PROJECTS: dict[str, tuple[dict[str, str], str]] = {
    "Django, beside the settings of manage.py": (DJANGO, "mysite.wsgi:application"),
    "Django with a server for ASGI": (
        {**DJANGO, "requirements.txt": "Django\nuvicorn[standard]>=0.54\n"},
        "mysite.asgi:application",
    ),
    "a worker of Celery's beside Django": (
        {
            **DJANGO,
            "mysite/__init__.py": "from .celery import app\n",
            "mysite/celery.py": "from celery import Celery\napp = Celery('mysite')\n",
        },
        "mysite.wsgi:application",
    ),
    "a package without __init__.py": ({"app/main.py": FASTAPI}, "app.main:app"),
    "another name, in another file": (
        {"serve.py": "import flask\nsite = flask.Flask(__name__)\n"},
        "serve:site",
    ),
    "a class of the project's own": (
        {"main.py": "from flask import Flask\nclass Shop(Flask): ...\nshop = Shop('x')\n"},
        "main:shop",
    ),
    "all names of another module": (
        {"shop/__init__.py": "from .core import *\n", "shop/core.py": FLASK},
        "shop:app",
    ),
    "a function of the specification's": (
        {"shop/__init__.py": "def application(environ, start_response): ...\n"},
        "shop:application",
    ),
    "a command-line tool beside the app": (
        {"app.py": "import typer\napp = typer.Typer()\n", "main.py": FLASK},
        "main:app",
    ),
    "a module that only Python 2 reads": ({"app.py": "print 'no'\napp = 1\n", "main.py": FLASK}, "main:app"),
    ".flaskenv before the usual files": (
        {
            ".flaskenv": 'export FLASK_APP="shop:create_app"\n',
            "app.py": FLASK,
            "shop.py": "def create_app(): ...",
        },
        "shop:create_app()",
    ),
    ".flaskenv with a file": (
        {".flaskenv": "FLASK_APP=run.py\n", "run.py": FLASK, "app.py": FLASK},
        "run:app",
    ),
    ".flaskenv with a package": (
        {".flaskenv": "FLASK_APP=shop\n", "shop/__init__.py": "def create_app(x=1): ...", "app.py": FLASK},
        "shop:create_app()",
    ),
    "a Procfile before all else": (
        {
            "Procfile": "web: gunicorn -w 4 --preload 'shop:create_app(\"live\")' --bind 0.0.0.0:$PORT\n",
            "shop.py": "def create_app(config): ...",
            "app.py": FLASK,
        },
        'shop:create_app("live")',
    ),
    "a Procfile with a bare module": (
        {"Procfile": "release: ./manage.py migrate\nweb: gunicorn mysite.wsgi --log-file -\n", **DJANGO},
        "mysite.wsgi:application",
    ),
    "a Dockerfile's last stage": (
        {
            "Dockerfile": 'FROM a\nCMD ["gunicorn", "app:app"]\nFROM b\nENTRYPOINT ["uvicorn"]\n'
            'CMD ["--host", "0.0.0.0", \\\n  "web.site:api"]\n',
            "web/site.py": "from fastapi import FastAPI\napi = FastAPI()\n",
            "app.py": FLASK,
        },
        "web.site:api",
    ),
    "a Procfile that names what is not there": (
        {"Procfile": "web: gunicorn gone:app\n", "app.py": FLASK},
        "app:app",
    ),
    "a Procfile of another folder": (
        {"Procfile": "web: cd server && gunicorn main:app\n", "app.py": FLASK, "main.py": FLASK},
        "app:app",
    ),
    "below src, installed": (
        {"src/shop/__init__.py": FLASK, "requirements.txt": "gunicorn\n-e .\n"},
        "shop:app",
    ),
    "tests beside the package": ({"shop/__init__.py": FLASK, "tests/app.py": FLASK}, "shop:app"),
}


@pytest.mark.parametrize("name", PROJECTS)
def test_the_strongest_sign_wins(tmp_path: Path, name: str) -> None:
    files, module = PROJECTS[name]
    assert detect_module(write(tmp_path, files)) == module


DRAWS = {
    "two packages": {"shop/__init__.py": FLASK, "blog/__init__.py": FLASK},
    "two other files": {"one.py": FLASK, "two.py": FLASK},
    "two commands": {
        "Procfile": "web: gunicorn one:app\n",
        "Dockerfile": "FROM x\nCMD gunicorn two:app\n",
        "one.py": FLASK,
        "two.py": FLASK,
    },
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_is_a_question(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="Which app is meant") as error:
        detect_module(write(tmp_path, DRAWS[name]))
    assert len(error.value.evidence.splitlines()) == 2


def test_what_nothing_installs_is_told_not_taken(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No app was found") as error:
        detect_module(write(tmp_path, {"src/shop/__init__.py": FLASK}))
    assert "src/shop/__init__.py has shop:app" in error.value.evidence


@pytest.mark.parametrize(
    "text",
    [
        "app = None\n",
        "import typer\napp = typer.Typer()\n",
        "import app\n",
        "if __name__ == '__main__':\n    app = 1\n",
        "(" * 5000,
        "\0",
    ],
)
def test_what_no_server_could_run_is_no_app(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="No app was found"):
        detect_module(write(tmp_path, {"app.py": text}))


def test_nothing_of_the_project_is_run(tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    write(tmp_path, {"app.py": trap + FLASK, "manage.py": trap, "Procfile": f"web: touch {tmp_path}/ran\n"})
    assert detect_module(tmp_path) == "app:app"
    assert not (tmp_path / "ran").exists()
