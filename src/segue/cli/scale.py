"""``segue scale``: more or fewer workers, without a deploy."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import click

from segue.cli.asking import follow
from segue.cli.progress import Progress
from segue.cli.project import check_target, home_here
from segue.cli.verb import Verb, print_json
from segue.core.errors import Stranded, UsageError, error_from_dict
from segue.deploy.conversation import Answer
from segue.disk.lock import is_held
from segue.embedded.asking import POLL, SUCCESSOR_TIMEOUT, converse


@click.command(cls=Verb)
@click.argument("workers", metavar="N")
@click.argument("target", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--wait", is_flag=True, help="Queue behind a deploy that is under way.")
def scale(workers: str, target: str | None, *, as_json: bool, wait: bool) -> None:
    """Have N workers from now on, without a deploy; later deploys keep the number."""
    check_target(target)
    args = {"workers": _number(workers), "wait": wait}
    with Progress(live=not as_json) as progress:
        document, code = _asked(args, progress)
    if document.get("error"):
        raise error_from_dict(document["error"], code)
    if as_json:
        print_json(document)
    else:
        click.echo(_shown(document))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(
            "workers",
            f"{text!r} is no number of workers.",
            evidence="it has to be a whole number",
            hint="`segue scale 4` has four workers from now on",
        )
    return int(text[:9])


def _asked(args: dict[str, Any], progress: Progress) -> Answer:
    """The keeper's answer; where its controller dies, its successor is asked: to ask twice does no harm."""
    home, deadline = home_here(), time.monotonic() + SUCCESSOR_TIMEOUT
    while True:
        try:
            with contextlib.closing(converse(home, "scale", args)) as conversation:
                return follow(conversation, progress.show)
        except Stranded:
            if not is_held(home.keeper_lock) or time.monotonic() > deadline:
                raise
        args = {**args, "wait": True}
        time.sleep(POLL)


def _shown(document: dict[str, Any]) -> str:
    if document["was"] == document["workers"]:
        return f"nothing to do: {document['generation']} has {document['workers']} workers"
    cut = f"; {document['cut']} did not leave in time and were cut" if document["cut"] else ""
    return f"{document['generation']} has {document['workers']} workers, before {document['was']}{cut}"
