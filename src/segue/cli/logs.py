"""``segue logs``: what the app's processes print."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click

from segue.cli.project import home_here
from segue.cli.server import converse_with, is_server
from segue.cli.verb import Verb
from segue.core.errors import Refused, error_from_dict
from segue.disk.events import Event
from segue.disk.home import Home
from segue.run.generation import tail

LINES = 50
POLL = 0.2
PIECE = 65536


@click.command(cls=Verb)
@click.argument("target", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed from now on.")
@click.option("-n", "--lines", default=LINES, metavar="N", help="How many lines to begin with.")
def logs(target: str | None, *, follow: bool, lines: int) -> None:
    """What the app prints."""
    if is_server(target):
        _of_server(str(target), follow=follow, lines=lines)
        return
    home = home_here()
    live = home.read_record().live
    if live is None:
        hint = "`segue up` serves the app; `segue history` tells how earlier deploys went"
        raise Refused("no_live", "Nothing is live.", evidence=f"looked in {home.root}", hint=hint)
    click.echo(tail(home.generation(live) / "log", lines))
    if follow:
        for piece in _pieces(home):
            click.echo(piece, nl=False)


def _of_server(target: str, *, follow: bool, lines: int) -> None:
    def show(event: Event) -> None:
        click.echo(event["text"])

    args = {"follow": follow, "lines": lines}
    with contextlib.closing(converse_with(target, "logs", args)) as conversation:
        document, code = conversation.answer(show)
    if document.get("error"):
        raise error_from_dict(document["error"], code)


def _pieces(home: Home) -> Iterator[bytes]:
    """What the live generation prints from now on, whichever that is, until Ctrl-C."""
    live: str | None = None
    with contextlib.ExitStack() as stack:
        file = None
        while True:
            if (now := home.read_record().live) != live and now is not None:
                stack.close()
                file = stack.enter_context(_opened(home.generation(now) / "log", at_end=live is None))
                live = now
            piece = b"" if file is None else os.read(file.fileno(), PIECE)
            if piece:
                yield piece
            else:
                time.sleep(POLL)


@contextlib.contextmanager
def _opened(path: Path, *, at_end: bool) -> Iterator[IO[bytes]]:
    with path.open("rb", buffering=0) as file:
        if at_end:
            file.seek(0, os.SEEK_END)
        yield file
