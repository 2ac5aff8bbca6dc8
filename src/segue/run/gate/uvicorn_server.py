"""A Uvicorn server behind the gate, be it under Uvicorn's own supervisor or in a worker of Gunicorn's."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import IO, Any

from .asgi import App, Gated
from .counting import Counters
from .holding import pausing
from .leaving import Leaving


def behind_gate(app: App, counted: Counters, turn: IO[str] | None, beat: Callable[[], None]) -> Gated:
    """`app`, which holds when the server asks for its startup, and leaves gently on TERM.

    Uvicorn closes connections that are kept alive as soon as it stops, and answers none of the requests that
    are on their way on them.

    Args:
        app: the app.
        counted: this worker's counters.
        turn: what `wait_for_first` gave.
        beat: called every moment while it holds.
    """
    gated = Gated(app, counted)

    async def opening(state: dict[str, Any]) -> None:
        # its handler of TERM is a method of the server, which is nowhere else to be had
        theirs: Any = signal.getsignal(signal.SIGTERM)
        server = theirs.__self__

        def alive() -> bool:
            beat()
            return not server.should_exit

        gated.leaving = Leaving(
            lambda: getattr(server, "servers", ()),
            lambda: theirs(signal.SIGTERM, None),
        )
        await gated.open(state, pausing(alive), turn)
        gated.left = _take_limit(server)
        gated.leaving.on_term(asyncio.get_running_loop())

    gated.opening = opening
    return gated


def _take_limit(server: Any) -> int:
    """After how many requests the worker is to be recycled: Uvicorn would do it without lingering."""
    limit: int | None = server.limit_max_requests
    server.config.limit_max_requests = None
    vars(server).pop("limit_max_requests", None)
    return limit or 0
