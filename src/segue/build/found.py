"""What `segue init` finds in a project, by reading its files: nothing of it is imported or run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from segue.build.code import Code, read_code
from segue.build.declared import PYPROJECT, find_declared
from segue.build.detect import App, find_app, with_roots
from segue.build.health import Route, find_health
from segue.build.packages import declared, pyproject
from segue.build.static_found import StaticFiles, find_static
from segue.build.web_command import WebCommand, web_commands
from segue.config.env_file import read_as_dotenv
from segue.core.contract import KEY, kind_of

_GUNICORN_CONFIG = "gunicorn.conf.py"
_SERVERS = {"asgi": ("uvicorn", "gunicorn", "granian"), "wsgi": ("gunicorn", "granian")}
_ADDED = "gunicorn"  # by the build, where a bare pyproject.toml brings no server
_VENVS = (".venv", "venv")
_EXAMPLES = re.compile(r"\.env\.(example|sample|template|dist)|(example|sample)\.env")
_FIRST_MIGRATION = re.compile(r"(.+/)?migrations/0001_\w+\.py")


@dataclass(frozen=True)
class Found:
    """A project, as its files tell.

    Attributes:
        name: what it calls itself, or its folder's name.
        app: the app.
        check: its route for health checks, if one is sure.
        command: how a Procfile or a Dockerfile serves that app.
        gunicorn_config: whether it has a gunicorn.conf.py, which Gunicorn reads by itself.
        server: the app server that it asks for, and where; empty where it asks for none.
        dependencies: where its releases' packages come from.
        migrations: what would migrate its database, and where it is told to.
        static: its folders of static files.
        static_files: where the app's are, if that is sure.
        env_example: the file that names the environment it wants.
        env: the keys that it names, each with the kind that it most likely is.
    """

    name: str
    app: App
    check: Route | None
    command: WebCommand | None
    gunicorn_config: bool
    server: str
    dependencies: str
    migrations: str
    static: tuple[str, ...]
    static_files: StaticFiles | None
    env_example: str
    env: dict[str, str]


def look(project: Path) -> Found:
    """What there is in `project`.

    Raises:
        UsageError: there is no app in it, or more than one.
        SegueError: git would not work there.
    """
    code = with_roots(read_code(project))
    app = find_app(code)
    static = _static(code)
    example = next((path for path in _at_root(code) if _EXAMPLES.fullmatch(path)), "")
    spellings = (app.module, app.module.removesuffix("()"))
    return Found(
        name=_name(code),
        app=app,
        check=find_health(code, app),
        command=next((one for one in web_commands(code) if one.module in spellings), None),
        gunicorn_config=code.has(_GUNICORN_CONFIG),
        server=_server(code, app),
        dependencies=_dependencies(code),
        migrations=_migrations(code),
        static=static,
        static_files=find_static(code, app, static),
        env_example=example,
        env=_env(code, example),
    )


def _name(code: Code) -> str:
    """A name that units, folders and users on a server can have."""
    table = pyproject(code).get("project")
    own = table.get("name") if isinstance(table, dict) else None
    name = own if isinstance(own, str) else Path(os.path.realpath(code.folder)).name
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-0123456789")[:31] or "app"


def _server(code: Code, app: App) -> str:
    """The one that a release would have: of what is declared, else of the interpreter that is there."""
    wanted = _SERVERS.get(app.kind.interface, _SERVERS["asgi"])
    releases = find_declared(code.folder)
    if releases is not None:
        added = {_ADDED: "added to what pyproject.toml names"} if releases.file == PYPROJECT else {}
        found = {**added, **{name: f"in {file}" for name, file in declared(code).items()}}
    else:
        venv = _venv(code)
        found = {
            name: f"in {venv}" for name in wanted if venv and (code.folder / venv / "bin" / name).exists()
        }
    return next((f"{name}, {found[name]}" for name in wanted if name in found), "")


def _dependencies(code: Code) -> str:
    """Where the build takes packages from."""
    if (found := find_declared(code.folder)) is not None:
        return found.file
    venv = _venv(code)
    return f"{venv}, as it is" if venv else "none of its own: nothing declares any"


def _venv(code: Code) -> str | None:
    return next((one for one in _VENVS if (code.folder / one / "bin" / "python").exists()), None)


def _migrations(code: Code) -> str:
    for path in map(str, code.files):
        if path in ("alembic.ini", "migrations/alembic.ini"):
            return f"Alembic, in {path}"
        if "DJANGO_SETTINGS_MODULE" in code.text("manage.py") and _FIRST_MIGRATION.fullmatch(path):
            return f"Django, in {os.path.dirname(path)}"
    return ""


def _env(code: Code, example: str) -> dict[str, str]:
    named = read_as_dotenv(code.text(example), interpolate=False) if example else {}
    return {key: kind_of(key, value) for key, value in named.items() if KEY.fullmatch(key)}


def _static(code: Code) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_static_folders(code)))


def _static_folders(code: Code) -> Iterator[str]:
    for path in code.files:
        if "static" in path.parts[:2] and len(path.parts) > path.parts.index("static") + 1:
            yield "/".join(path.parts[: path.parts.index("static") + 1])


def _at_root(code: Code) -> Iterable[str]:
    return (str(path) for path in code.files if len(path.parts) == 1)
