"""``segue init``: looks at the project and writes its segue.toml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import click

from segue.build.example import EXAMPLE
from segue.build.found import Found, look
from segue.cli.verb import Verb, print_json
from segue.config.load import configured_by
from segue.config.new import Line, config_text, printable
from segue.config.project import CONFIG_FILE, find_project
from segue.core.errors import Refused

_CLASSES = ("sync", "gthread", "gevent", "asgi", "uvicorn_worker.UvicornWorker")


class InitVerb(Verb):
    """A verb whose JSON document tells what a project has."""

    unknown: ClassVar[Mapping[str, Any]] = {"file": None, "found": None}


@click.command(cls=InitVerb)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def init(*, as_json: bool) -> None:
    """Look at the project, without importing any of it, and write a commented segue.toml."""
    project = find_project(Path.cwd())
    _refuse_another(project)
    found = look(project)
    file = project / CONFIG_FILE
    _write(file, config_text(_lines(found), static=_of_static(found), env=_env(found)))
    if as_json:
        print_json({"ok": True, "file": str(file), "found": _document(found), "error": None})
        return
    for name, text in _told(found):
        click.echo(f"{name:<13} {printable(text)}")
    click.echo(f"\nwrote {file}\n\nhint: {_next(found)}")


def _refuse_another(project: Path) -> None:
    there = configured_by(project)
    if there is not None:
        raise Refused(
            "configured",
            f"{there} configures this app already.",
            evidence=f"project: {project}",
            hint="`segue up` serves it; to begin anew, take that away first",
        )


def _write(file: Path, text: str) -> None:
    with file.open("x", encoding="utf-8") as written:
        try:
            written.write(text)
            written.flush()
        except OSError as error:
            file.unlink()
            why = f"{error.strerror}"
            raise Refused(
                "unwritable", f"{file} can't be written.", evidence=why, hint="make room"
            ) from error


def _lines(found: Found) -> Iterator[Line]:
    """What is sure, as the keys of `[app]`."""
    yield Line("name", found.name, "on a server, units, folders and the app's user are called so")
    yield Line("module", found.app.module, f"{_kind(found)}, {_where(found.app.where)}")
    if found.check is not None:
        yield Line("check", found.check.path, f"has to answer with 200; {_where(found.check.where)}")
    if found.command is not None:
        yield from _of_command(found)
    if found.migrations:
        comment = f"a deploy migrates the database, by {found.migrations}; so it does not"
        yield Line("migrate", False, comment, active=False)


def _env(found: Found) -> Iterator[Line]:
    """What the example names, as keys of `[env]`."""
    for key, kind in found.env.items():
        yield Line(key, kind, _where(found.env_example), active=False)


def _of_command(found: Found) -> Iterator[Line]:
    """What the web command says, where the app's gunicorn.conf.py does not say it."""
    command = found.command
    if command is None or found.gunicorn_config:
        return
    where = _where(command.where)
    if command.workers is not None:
        yield Line("workers", command.workers, where)
    if command.threads is not None:
        yield Line("threads", command.threads, where)
    if command.worker_class in _CLASSES:
        yield Line("worker_class", command.worker_class, where)
    if command.config:
        yield Line("gunicorn_config", command.config, where)


def _of_static(found: Found) -> Iterator[Line]:
    static = found.static_files
    if static is not None:
        yield Line("url", static.url, "where users find them")
        yield Line("folder", static.folder, f"where they lie in a release; by {static.where}")


def _kind(found: Found) -> str:
    """Such as ``Flask factory`` or ``ASGI app``."""
    kind, what = found.app.kind, "factory" if found.app.module.endswith(")") else "app"
    return f"{kind.framework or kind.interface.upper()} {what}".lstrip()


def _where(file: str) -> str:
    return f"in {file}"


def _told(found: Found) -> Iterator[tuple[str, str]]:
    """What was found, for people, line by line."""
    yield "app", f"{found.app.module}: {_kind(found)}, {_where(found.app.where)}"
    yield "server", found.server or "none found: a release needs gunicorn, or for ASGI uvicorn"
    check = found.check
    yield (
        "check",
        f"{check.path}, {_where(check.where)}" if check else "/ (no route for health checks was found)",
    )
    yield "dependencies", found.dependencies
    if found.migrations:
        yield "migrations", f"{found.migrations}; a deploy runs what the old code can live with"
    if found.static_files:
        yield "static files", f"{found.static_files.folder}, at {found.static_files.url}"
    elif found.static:
        yield "static files", f"{', '.join(found.static)}; [static] in segue.toml has one of them served"
    if found.env_example:
        demanded = (
            "a deploy demands its keys" if found.env_example == EXAMPLE else "name its keys under [env]"
        )
        yield "environment", f"{found.env_example}; {demanded}"


def _next(found: Found) -> str:
    if found.server:
        return "`segue up` serves it"
    return "add the server to what the app needs (requirements.txt, or its .venv); then `segue up` serves it"


def _document(found: Found) -> dict[str, Any]:
    return {
        "name": found.name,
        "module": found.app.module,
        "framework": found.app.kind.framework or None,
        "interface": found.app.kind.interface or None,
        "where": found.app.where,
        "check": found.check.path if found.check else None,
        "server": found.server or None,
        "dependencies": found.dependencies,
        "migrations": found.migrations or None,
        "static": list(found.static),
        "env_example": found.env_example or None,
    }
