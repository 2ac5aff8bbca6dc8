"""The app of a project that does not name it is found where Flask looks."""

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
