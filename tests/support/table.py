"""The table of servers: how each is run where every server has to do the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.apps import Interface
from tests.support.race import Kind


@dataclass(frozen=True)
class Server:
    """One way to serve an app.

    Attributes:
        job: its settings of segue.toml for the main job.
        race: its settings of segue.toml for races.
        kinds: the states of connections that it is raced with; the order is that of their opening.
        interface: what kind of app it serves.
    """

    job: dict[str, Any]
    race: dict[str, Any]
    kinds: tuple[Kind, ...]
    interface: Interface = "wsgi"


def _with_a_loop(interface: Interface = "asgi", **settings: Any) -> Server:
    """A server whose workers hold any number of connections each."""
    kinds: tuple[Kind, ...] = ("kept", "kept", "kept", "idle", "half", "fresh")
    return Server({"workers": 2, **settings}, {"workers": 2, **settings}, kinds, interface)


# idle connections are to be ended by deploys alone
_PATIENT = ("--timeout-keep-alive", "75")

SERVERS = {
    "sync": Server(
        # A slow request holds a sync worker for 2 s, and any request for a round trip more, in which Gunicorn
        # waits for the client to close its side. Enough of them that one is free, and one import for all.
        job={"workers": 12, "threads": 1, "preload": True},
        # idle and half-sent connections hold a sync worker each: more of them, so that some can serve
        race={"workers": 10, "threads": 1},
        kinds=("idle", "half", "fresh"),
    ),
    "gthread": Server(
        job={"workers": 2, "threads": 8},
        race={"workers": 4, "threads": 4},
        # the kept come first: an idle connection holds a thread too, for as long as nothing is sent on it
        kinds=("kept", "kept", "kept", "idle", "half", "fresh"),
    ),
    "gevent": _with_a_loop("wsgi", worker_class="gevent"),
    "asgi": _with_a_loop(worker_class="asgi", server="gunicorn"),
    "uvicorn-worker": _with_a_loop(worker_class="uvicorn_worker.UvicornWorker", server="gunicorn"),
    "uvicorn": _with_a_loop(server="uvicorn", server_args=("--loop", "asyncio", *_PATIENT)),
    "uvicorn-alone": _with_a_loop(
        server="uvicorn", workers=1, server_args=("--loop", "uvloop", "--http", "h11", *_PATIENT)
    ),
}


def often(values: Iterable[Any], *chosen: Any) -> list[Any]:
    """`values` for `parametrize`; CI runs those `chosen`, and `make soak` the others."""
    return [pytest.param(value, marks=() if value in chosen else pytest.mark.soak) for value in values]


# what CI runs where all of them would take too long: one of each family
FAMILIES = ("sync", "gthread", "uvicorn")
