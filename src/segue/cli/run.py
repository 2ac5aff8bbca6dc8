"""``segue run``: a command in the live release, with its environment and as its user."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import NoReturn

import click

from segue.cli import terminal
from segue.cli.project import home_here
from segue.cli.server import converse_with, is_server
from segue.cli.verb import Verb
from segue.core.errors import Refused, UsageError, error_from_dict
from segue.disk.events import Event
from segue.run.generation import Generation


@click.command(cls=Verb, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[TARGET] -- COMMAND ...")
def run(words: tuple[str, ...]) -> None:
    """Run COMMAND in the live release: its folder, its environment, its user. Ends with its exit code."""
    target, command = _parted(words)
    if is_server(target):
        _on_server(str(target), command)
    _here(command)


def _parted(words: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The target and the command; click takes the dashes away only where they come first."""
    if "--" in words[:2]:
        place = words.index("--")
        target, command = (words[0] if place else None), words[place + 1 :]
    else:
        target, command = None, words
    if not command:
        hint = "`segue run production -- flask routes`, or here `segue run -- flask routes`"
        raise UsageError(
            "command",
            "There is no command to run.",
            evidence=f"given: {' '.join(words) or 'nothing'}",
            hint=hint,
        )
    return target, command


def _on_server(target: str, command: tuple[str, ...]) -> NoReturn:
    args = terminal.description() if terminal.is_terminal() else {}
    with contextlib.ExitStack() as stack:
        conversation = stack.enter_context(contextlib.closing(converse_with(target, "run", args, command)))
        if args:
            stack.enter_context(terminal.passing_on(conversation.say))
        document, code = conversation.answer(_show)
    if document.get("error"):
        raise error_from_dict(document["error"], code)
    raise click.exceptions.Exit(document["status"])


def _show(event: Event) -> None:
    if event["event"] == "shown":
        terminal.show(event)
    else:
        click.echo(event["text"])


def _here(command: tuple[str, ...]) -> NoReturn:
    home = home_here()
    live = home.read_record().live
    if live is None:
        hint = "`segue up` serves the app"
        raise Refused("no_live", "Nothing is live.", evidence=f"looked in {home.root}", hint=hint)
    start = Generation(live, home.generation(live)).start()
    environ = {name: value for name, value in os.environ.items() if name not in start["unset"]}
    try:
        done = subprocess.run(
            ("/usr/bin/env", "--", *command),
            cwd=start["root"],
            env={**environ, **start["environ"]},
            check=False,
        )
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None
    raise click.exceptions.Exit(done.returncode)
