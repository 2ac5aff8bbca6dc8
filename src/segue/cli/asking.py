"""How a verb asks an executor and shows what comes of it. Ctrl-C asks for the deploy to be taken back."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from typing import Any

import click

from segue.cli.progress import Progress
from segue.cli.project import home_here
from segue.cli.server import converse_with, is_server
from segue.cli.show import show_receipt
from segue.cli.verb import print_json
from segue.core.errors import Interrupted, error_from_dict
from segue.deploy.conversation import Answer, Conversation
from segue.disk.events import Event
from segue.embedded.asking import converse


def begin(target: str | None, verb: str, args: dict[str, Any]) -> Conversation:
    """Ask who executes for `target`: a server, or the keeper of this project."""
    return converse_with(str(target), verb, args) if is_server(target) else converse(home_here(), verb, args)


def deploy_by_executor(target: str | None, verb: str, args: dict[str, Any], *, as_json: bool) -> None:
    """Have `verb` carried out, follow it, show its receipt, and end with its exit code."""
    # asked only when everything is ready to follow: Ctrl-C must find somebody to ask for it to be taken back
    with (
        Progress(live=not as_json) as progress,
        contextlib.closing(begin(target, verb, args)) as conversation,
    ):
        document, code = follow(conversation, progress.show)
        # it is over: what comes now must not change the exit code, not even while Python ends
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if document.get("error") and "seconds" not in document:
        # no deploy began, so there is no receipt
        raise error_from_dict(document["error"], code)
    if as_json:
        print_json(document)
    elif "seconds" in document:
        show_receipt(document)
    click.get_current_context().exit(code)


def follow(conversation: Conversation, on_event: Callable[[Event], None]) -> Answer:
    """The last word and its exit code; on the way every event is handed to `on_event`."""
    try:
        return conversation.answer(on_event)
    except KeyboardInterrupt:
        return _interrupted(conversation, on_event)


def _interrupted(conversation: Conversation, on_event: Callable[[Event], None]) -> Answer:
    if conversation.committed:
        click.echo("committed; the drain goes on without this terminal (see `segue history`)", err=True)
        return conversation.so_far(), 0
    click.echo("taking it back; Ctrl-C again only stops following", err=True)
    conversation.cancel()
    try:
        return conversation.answer(on_event)
    except KeyboardInterrupt:
        raise Interrupted(
            "detached",
            "Stopped following; the deploy is taken back.",
            evidence="a second Ctrl-C came before it had",
            hint="`segue history` tells how it ended",
        ) from None
