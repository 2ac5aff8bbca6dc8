"""Gunicorn's gevent worker: when it leaves, connections that wait for a request are closed after the linger.

Gunicorn has nothing but their keep-alive timeout, so with a long one an idle connection kept the worker until
its drain ended.
"""

from __future__ import annotations

import os
from typing import Any

import gevent  # type: ignore[import-untyped]
from gunicorn.workers.base import Worker

from . import files

Waiting = dict[Any, "Wait"]


class Wait(gevent.Timeout):  # type: ignore[misc] # gevent has no types
    """The time that one connection may wait for its next request."""

    def __init__(self, seconds: float, waiting: Waiting) -> None:
        super().__init__(seconds, False)
        self._waiting = waiting

    def __enter__(self) -> Any:
        self._waiting[gevent.getcurrent()] = self
        return super().__enter__()

    def __exit__(self, *raised: object) -> Any:
        del self._waiting[gevent.getcurrent()]
        return super().__exit__(*raised)


def linger(worker: Any) -> None:
    """Have `worker` close idle connections when it has left off accepting and its linger is over."""
    keepalive, lingers = worker.cfg.keepalive, files.start()["linger"]
    waiting: Waiting = {}
    loop = gevent.get_hub().loop
    # on a busy machine the first may be late: what has come by then is read before the second
    timer, last_look = loop.timer(lingers), loop.timer(files.POLL)
    beat = worker.notify

    def notify() -> None:
        if worker.ppid == os.getppid():
            beat()
        else:
            # without a master Gunicorn's own would end on the spot, with all that this worker holds
            worker.alive = False
            Worker.notify(worker)
        # it calls this each second, and once right after it has closed its listener
        if not worker.alive and not timer.active:
            timer.start(last_look.start, _close, waiting)

    worker.notify = notify
    worker.timeout_ctx = lambda: Wait(keepalive if worker.alive else min(keepalive, lingers), waiting)


def _close(waiting: Waiting) -> None:
    """In the hub, where no request can come in between: let all of them time out now."""
    for greenlet, wait in list(waiting.items()):
        greenlet.throw(wait)
