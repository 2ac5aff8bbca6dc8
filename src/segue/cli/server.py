"""How a verb asks a server that is a target."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from segue.cli.project import LOCAL
from segue.core.errors import UsageError, error_from_dict

if TYPE_CHECKING:
    from segue.config.schema import AppConfig, Target
    from segue.deploy.conversation import Conversation


def is_server(target: str | None) -> bool:
    """Whether `target` is a server.

    Raises:
        UsageError: it is no target at all, or one that says too little.
    """
    if target in (None, LOCAL):
        return False
    _config(str(target))
    return True


def ask_server(target: str | None, verb: str, **args: Any) -> dict[str, Any]:
    """The document that the server `target` answers `verb` with.

    Raises:
        SegueError: it refuses, or can't be reached.
    """
    with contextlib.closing(converse_with(str(target), verb, args)) as conversation:
        document, code = conversation.answer(lambda _event: None)
    if document.get("error"):
        raise error_from_dict(document["error"], code)
    return document


def converse_with(
    target: str, verb: str, args: dict[str, Any], command: tuple[str, ...] = ()
) -> Conversation:
    """Ask the server `target` for `verb`; `command` is what `run` runs.

    Raises:
        SegueError: there is nothing to deploy, or the config can't be used.
    """
    from pathlib import Path  # noqa: PLC0415 - `segue status` of a laptop should start instantly

    from segue.config.project import find_project  # noqa: PLC0415
    from segue.core.contract import Contract  # noqa: PLC0415
    from segue.deploy.prepare import look_up  # noqa: PLC0415
    from segue.disk.lock import user_name  # noqa: PLC0415
    from segue.server.asking import converse  # noqa: PLC0415
    from segue.server.layout import Layout  # noqa: PLC0415
    from segue.server.request import Request  # noqa: PLC0415
    from segue.server.travel import send  # noqa: PLC0415

    config, found = _config(target)
    source, module, contract = None, "", Contract()
    if verb == "deploy":
        path, rev = args.pop("path", None), args.pop("rev", None)
        source, module, contract = look_up(find_project(Path.cwd()), config, path, rev)
        if found.host is not None and not args.get("dry_run"):
            source = send(source, found.host, Layout(config.name), config.shared, _tell)
    request = Request(config.name, verb, args, user_name(), config, source, module, command, contract)
    return converse(found.host, Layout(config.name), request.as_dict())


def _tell(text: str) -> None:
    click.echo(f"note: {text}", err=True)


def _config(target: str) -> tuple[AppConfig, Target]:
    from pathlib import Path  # noqa: PLC0415

    from segue.config.load import load_config, load_target  # noqa: PLC0415
    from segue.config.project import find_project  # noqa: PLC0415

    project = find_project(Path.cwd())
    found = load_target(project, target)
    if found.domain is None:
        raise UsageError(
            "target",
            f"The target {target} has no domain.",
            evidence=f"[targets.{target}] is what makes it a server",
            hint=f'write domain = "shop.example" under [targets.{target}]',
        )
    return load_config(project, {}, target), found
