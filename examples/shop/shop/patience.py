"""Requests that take their time: the ones that a careless deploy cuts off."""

import time
from collections.abc import Iterator
from functools import partial

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

LONGEST = 10.0
CHUNK_INTERVAL = 0.1
READ_SIZE = 64 * 1024

blueprint = Blueprint("patience", __name__)


@blueprint.get("/slow")
def slow() -> ResponseReturnValue:
    """A report that takes `?seconds=` to compute."""
    seconds = asked_seconds()
    time.sleep(seconds)
    return {"slept": seconds}


@blueprint.get("/stream")
def stream() -> ResponseReturnValue:
    """An export that is sent in chunks for `?seconds=`."""
    return chunks(asked_seconds()), {"Content-Type": "text/plain; charset=utf-8"}


@blueprint.post("/upload")
def upload() -> ResponseReturnValue:
    """A picture, read as it arrives and thrown away: only its length is kept."""
    pieces = iter(partial(request.stream.read, READ_SIZE), b"")
    return {"length": sum(map(len, pieces))}


def asked_seconds() -> float:
    return min(LONGEST, max(0.0, request.args.get("seconds", 1.0, type=float)))


def chunks(seconds: float) -> Iterator[str]:
    for number in range(round(seconds / CHUNK_INTERVAL)):
        time.sleep(CHUNK_INTERVAL)
        yield f"chunk {number}\n"
    yield "end\n"
