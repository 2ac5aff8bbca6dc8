"""Gunicorn's gevent worker: when it leaves, connections that wait for a request are closed after the linger.

Gunicorn has nothing but their keep-alive timeout, so with a long one an idle connection kept the worker until
its drain ended. And none is closed on which something has come: on a busy machine one turn of the loop may
take so long that a request comes after its look for input, and before it gets to the end of the wait.
"""

from __future__ import annotations

import os
import select
from typing import Any

import gevent.local  # type: ignore[import-untyped]
from gevent import monkey
from gunicorn.workers.base import Worker

from . import files

Waiting = dict[Any, "Wait"]


class Wait(gevent.Timeout):  # type: ignore[misc] # gevent has no types
    """The time that one connection may wait for its next request; if it `lingers`, its worker leaves."""

    timer: Any

    def __init__(self, seconds: float, client: Any, waiting: Waiting, *, lingers: bool) -> None:
        super().__init__(seconds, False)
        self.lingers = lingers
        self._client = client
        self._waiting = waiting

    def __enter__(self) -> Any:
        self._waiting[gevent.getcurrent()] = self
        return super().__enter__()

    def __exit__(self, *raised: object) -> Any:
        del self._waiting[gevent.getcurrent()]
        return super().__exit__(*raised)

    def end(self, greenlet: Any) -> None:
        """In the hub: end it now, unless something has come."""
        self._on_expiration(greenlet, self)

    def _on_expiration(self, greenlet: Any, error: BaseException) -> None:
        if _has_come(self._client):
            self.timer.close()  # one that is started again is due at once
            self.timer = gevent.get_hub().loop.timer(self.seconds)
            self.timer.start(self._on_expiration, greenlet, error, update=True)
        else:
            super()._on_expiration(greenlet, error)


def linger(worker: Any) -> None:
    """Have `worker` close idle connections when it has left off accepting and its linger is over."""
    keepalive, lingers = worker.cfg.keepalive, files.start()["linger"]
    waiting: Waiting = {}
    loop = gevent.get_hub().loop
    timer = loop.timer(lingers)
    here = gevent.local.local()
    handle = worker.handle

    def handle_client(listener: Any, client: Any, address: Any) -> None:
        here.client = client
        handle(listener, client, address)

    def notify() -> None:
        # it calls this each second: the first time after it was told to leave, its listener is closed
        has_left = not worker.alive
        # without a master Gunicorn's own `notify` would end on the spot, with all that this worker holds
        if worker.ppid != os.getppid():
            worker.alive = False
        Worker.notify(worker)
        if has_left and not timer.active:
            timer.start(_close, waiting)

    worker.notify, worker.handle = notify, handle_client

    def timeout_ctx() -> Wait:
        leaves = not worker.alive
        return Wait(min(keepalive, lingers) if leaves else keepalive, here.client, waiting, lingers=leaves)

    worker.timeout_ctx = timeout_ctx


def _close(waiting: Waiting) -> None:
    for greenlet, wait in list(waiting.items()):
        # those that began to wait later have a linger of their own
        if not wait.lingers:
            wait.end(greenlet)


def _has_come(client: Any) -> bool:
    """Whether there is something to read."""
    poll = monkey.get_original("select", "poll")()
    poll.register(client.fileno(), select.POLLIN)
    return bool(poll.poll(0))
