"""Gunicorn's own asgi worker behind the gate."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import weakref
from typing import IO, Any

from gunicorn.asgi.protocol import ASGIProtocol

from . import files
from .asgi import Gated
from .counting import Counters
from .holding import pausing
from .leaving import Leaving, unread

BACKLOG = 2048


def open_gate(worker: Any, counted: Counters, turn: IO[str] | None) -> None:
    """Come back when `worker` may accept; to be called before it serves, for it waits no longer than 30 s.

    Raises:
        Leave: it never may.
    """

    def alive() -> bool:
        worker.notify()
        return bool(worker.alive)

    _keep_who_asks()
    loop, protocols = worker.loop, _followed()
    worker.asgi = gated = Gated(worker.asgi, counted)
    gated.opening = None
    gated.leaving = Leaving(lambda: worker.servers, lambda: _stop(worker, protocols), worker.notify)
    loop.run_until_complete(gated.open(worker.state, pausing(worker.ppid, alive), turn))
    if files.start()["wrap"]:
        gated.left, worker.max_requests = worker.max_requests % sys.maxsize, sys.maxsize
    # in the place of the worker's own: a TERM that has come, and that the loop has not read yet, is heard too
    loop.add_signal_handler(signal.SIGTERM, gated.leaving.begin)
    _outlive_master(worker, gated.leaving)
    worker.segue_listening = loop.create_task(_listen_again(worker))


def _outlive_master(worker: Any, leaving: Leaving) -> None:
    """Leave gently when the master is gone; Gunicorn's worker closes all idle connections on the spot.

    Its loop looks for the master right after each `notify`.
    """
    notify = worker.notify

    def look_and_notify() -> None:
        if worker.ppid != os.getppid():
            worker.ppid = os.getppid()
            leaving.begin()
        notify()

    worker.notify = look_and_notify


def _keep_who_asks() -> None:
    """Close no connection for idleness on which a request came in the very turn of the loop that ends it.

    On a busy machine, or under an app that blocks the loop, all those time out at once that were idle before.
    """
    time_out = ASGIProtocol._keepalive_timeout  # noqa: SLF001 - there is no other way

    def keepalive_timeout(self: Any) -> None:
        if not self._request_ready.is_set():
            time_out(self)

    ASGIProtocol._keepalive_timeout = keepalive_timeout  # noqa: SLF001


def _followed() -> weakref.WeakSet[Any]:
    """Every connection from now on; the worker itself keeps no list of them."""
    protocols: weakref.WeakSet[Any] = weakref.WeakSet()
    made = ASGIProtocol.connection_made

    def connection_made(self: Any, transport: Any) -> None:
        protocols.add(self)
        made(self, transport)

    ASGIProtocol.connection_made = connection_made
    return protocols


def _stop(worker: Any, protocols: weakref.WeakSet[Any]) -> None:
    """Stop, and close what waits for a next request: an idle connection would keep the worker to the end."""
    worker.handle_exit_signal()
    for protocol in list(protocols):
        if _is_idle(protocol) and protocol.transport is not None:
            protocol.transport.close()


def _is_idle(protocol: Any) -> bool:
    """Whether it waits for a request of which nothing has come; one may have come unnoticed, or be unread."""
    waits, came = protocol._awaiting_request, protocol._request_ready  # noqa: SLF001 - nothing public says so
    return bool(waits and not came.is_set() and not unread(protocol.transport))


async def _listen_again(worker: Any) -> None:
    """The worker listens with asyncio's backlog of 100, which then goes for everybody's listening socket."""
    while not worker.servers:
        await asyncio.sleep(files.POLL)
    for one in worker.sockets:
        one.sock.listen(BACKLOG)
