"""The sample app as somebody's project with a server target, packed to be sent to a host."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.support import apps
from tests.support.site import QUICK

NAME, DOMAIN = "shop", "shop.example"
# what a host's /opt/wheels has
REQUIREMENTS = {
    "wsgi": ("flask", "gevent", "gunicorn"),
    "asgi": ("gunicorn", "httptools", "uvicorn", "uvicorn-worker", "uvloop", "websockets"),
}


def packed(
    *,
    settings: dict[str, Any],
    target: dict[str, Any],
    files: dict[str, str],
    interface: apps.Interface,
    **behaviour: Any,
) -> bytes:
    """A tar archive of the project.

    Args:
        settings: Of `[app]`, over its name, its check and short times. Tables of their own: `processes`,
            `hooks`, `static`.
        target: Of `[targets.production]`, over its domain.
        files: More files, by their path in the project.
        interface: What kind of app it is.
        behaviour: What `tests.support.apps.make_app` takes.
    """
    with tempfile.TemporaryDirectory() as made:
        apps.make_app(Path(made), interface=interface, **behaviour)
        # data is the server's, not the project's
        Path(made, "instance").rmdir()
        config = _config(settings, target)
        requirements = "\n".join((*REQUIREMENTS[interface], ""))
        _write(Path(made), {"segue.toml": config, "requirements.txt": requirements, **files})
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(made, arcname=".")
    return archive.getvalue()


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _config(settings: dict[str, Any], target: dict[str, Any]) -> str:
    app = {"name": NAME, "module": "wsgi:app", "check": "/healthz", **QUICK, **settings}
    tables = {
        "processes": app.pop("processes", {}),
        "hooks": app.pop("hooks", {}),
        **({"static": app.pop("static")} if "static" in app else {}),
        "app": app,
        "targets.production": {"domain": DOMAIN, **target},
    }
    return "\n".join(f"[{name}]\n{_lines(table)}" for name, table in tables.items())


def _lines(table: dict[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items() if value is not None)


def _value(value: object) -> str:
    """As TOML, whose texts, numbers and lists are JSON's, and whose tables are not."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_value(each)}' for key, each in value.items())} }}"
    return json.dumps(value)
