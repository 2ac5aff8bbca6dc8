"""A Uvicorn server behind the gate, be it under Uvicorn's own supervisor or in a worker of Gunicorn's."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import IO, Any

from . import files
from .asgi import Gated
from .asgi_check import App
from .counting import Counters
from .holding import pausing
from .leaving import Leaving, unread


def behind_gate(
    app: App, counted: Counters, turn: IO[str] | None, master: int, beat: Callable[[], None]
) -> Gated:
    """`app`, which holds when the server asks for its startup, and leaves gently on TERM.

    Uvicorn closes connections that are kept alive as soon as it stops, and answers none of the requests that
    are on their way on them.

    Args:
        app: the app.
        counted: this worker's counters.
        turn: what `wait_for_first` gave.
        master: the process whose end is the end of this worker's hold.
        beat: called every moment while it holds, and each second when the server has been told to stop.
    """
    gated = Gated(app, counted)

    async def opening(state: dict[str, Any]) -> None:
        theirs, server = _server()

        def alive() -> bool:
            beat()
            return not server.should_exit

        gated.leaving = Leaving(
            lambda: getattr(server, "servers", ()),
            lambda: theirs(signal.SIGTERM, None),
            beat,
        )
        _keep_who_asks(server.config)
        gated.left = _take_limit(server)
        await gated.open(state, pausing(master, alive), turn)
        gated.leaving.on_term(asyncio.get_running_loop())

    gated.opening = opening
    return gated


def _server() -> tuple[Any, Any]:
    """Uvicorn's handler of TERM, and the server that it is a method of: there is no other way to it."""
    handler: Any = signal.getsignal(signal.SIGTERM)
    server = getattr(handler, "__self__", None)
    if not hasattr(server, "should_exit"):
        files.refuse("startup", "the app put a handler of SIGTERM in the place of its server's")
    return handler, server


def _keep_who_asks(config: Any) -> None:
    """Close no idle connection at the end of the linger on which a request has come that nobody has read yet.

    It is served, and told that it was the last one.
    """
    protocol = config.http_protocol_class
    shutdown = protocol.shutdown

    def shutdown_if_read(self: Any) -> None:
        if not unread(self.transport):
            shutdown(self)

    protocol.shutdown = shutdown_if_read


def _take_limit(server: Any) -> int:
    """After how many requests the worker is to be recycled: Uvicorn would do it without lingering."""
    if not files.start()["wrap"]:
        return 0
    limit: int | None = getattr(server, "limit_max_requests", server.config.limit_max_requests)
    server.config.limit_max_requests = None
    vars(server).pop("limit_max_requests", None)
    return limit or 0
