"""What one request costs in the gate's own code, called as the server calls it, without the server."""

from __future__ import annotations

import asyncio
import dataclasses
import faulthandler
import functools
import importlib
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks import hello
from benchmarks.numbers import Estimate, median
from segue.run.generation import Generation

NAME = "20261121T013455-8c1f2e9.1"
START: dict[str, Any] = {
    "generation": NAME,
    "release": "20261121T013455-8c1f2e9",
    "server_args": [],
    "settings": {},
    "interface": "wsgi",
    "user_config": None,
    "ready_timeout": 60.0,
    "wrap": True,
    "seen": "-",
}
PER_ROUND = 1000
Round = Callable[[], float]


@dataclasses.dataclass(frozen=True)
class Cost:
    """Microseconds per request.

    Attributes:
        bare: the app alone, and two hooks that do nothing.
        wrapped: what `wrap = true` adds.
        unwrapped: what `wrap = false` adds.
    """

    bare: Estimate
    wrapped: Estimate
    unwrapped: Estimate


def costs(folder: Path, rounds: int) -> dict[str, Cost]:
    """What a request costs by either interface; the gate is placed in `folder`."""
    gate = _gate(folder)
    return {"WSGI": _cost(_wsgi(gate), rounds), "ASGI": _cost(_asgi(gate), rounds)}


def _gate(folder: Path) -> SimpleNamespace:
    """The gate's parts, as a worker of a generation in `folder` imports them."""
    Generation(NAME, folder).prepare(START)
    (folder / "go").touch()  # else it would look how long its master has waited already
    sys.path.append(str(folder / "gate"))
    parts = ("files", "asgi", "wsgi", "counting", "leaving", "gunicorn_conf", "gunicorn_wsgi")
    gate = SimpleNamespace(**{part: importlib.import_module(f"segue_gate.{part}") for part in parts})
    faulthandler.cancel_dump_traceback_later()
    return gate


def _cost(ways: dict[str, Round], rounds: int) -> Cost:
    """Many short rounds, in ever new order, so that whatever else the machine does meets all alike."""
    seen: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in random.sample(list(ways), len(ways)):
            seen[way].append(ways[way]())
    added = {
        way: median([one - bare for one, bare in zip(seen[way], seen["bare"], strict=True)])
        for way in ("wrapped", "unwrapped")
    }
    return Cost(bare=median(seen["bare"]), **added)


def _wsgi(gate: SimpleNamespace) -> dict[str, Round]:
    counted = gate.counting.counters(4)
    ours, none = gate.gunicorn_conf, SimpleNamespace(pre_request=_no_hook, post_request=_no_hook)
    counting = gate.gunicorn_wsgi.Counting(counted)
    wrapped = gate.wsgi.wrap(hello.wsgi, gate.wsgi.Streams(lambda: False, counted))

    def through_ours(app: Any, counts: list[Any]) -> float:
        ours.COUNTING[:] = counts
        return _answer_wsgi(app, ours)

    return {
        "bare": lambda: _answer_wsgi(hello.wsgi, none),
        "wrapped": lambda: through_ours(wrapped, [counting]),
        "unwrapped": lambda: through_ours(hello.wsgi, []),
    }


def _no_hook(*_: Any) -> None:
    """A hook that does nothing. Gunicorn's own prepares a debug message, which would flatter the gate."""


class Response:
    """What Gunicorn's hooks see of an answer."""

    status = ""
    status_code = 0

    def start(self, status: str, _headers: Any, _exc_info: Any = None) -> None:
        """The app answers."""
        self.status, self.status_code = status, int(status[:3])


def _answer_wsgi(app: Any, hooks: Any) -> float:
    worker = request = object()
    before, after, environ = hooks.pre_request, hooks.post_request, {"PATH_INFO": "/", "QUERY_STRING": ""}
    began = time.thread_time_ns()
    for _ in range(PER_ROUND):
        before(worker, request)
        response = Response()
        for _chunk in app(environ, response.start):
            pass
        after(worker, request, environ, response)
    return (time.thread_time_ns() - began) / PER_ROUND / 1000


def _asgi(gate: SimpleNamespace) -> dict[str, Round]:
    loop = asyncio.new_event_loop()
    ways = {"bare": hello.asgi}
    for way, wraps in (("wrapped", True), ("unwrapped", False)):
        gate.files.start()["wrap"] = wraps
        ways[way] = gated = gate.asgi.Gated(hello.asgi, gate.counting.counters(1))
        gated.leaving = gate.leaving.Leaving(lambda: None, lambda: None)
    return {way: functools.partial(_run, loop, app) for way, app in ways.items()}


def _run(loop: asyncio.AbstractEventLoop, app: Any) -> float:
    return loop.run_until_complete(_answer_asgi(app))


async def _answer_asgi(app: Any) -> float:
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        pass

    began = time.thread_time_ns()
    for _ in range(PER_ROUND):
        await app(scope, receive, send)
    return (time.thread_time_ns() - began) / PER_ROUND / 1000
