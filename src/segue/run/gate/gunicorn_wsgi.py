"""Gunicorn's sync, gthread and gevent workers behind the gate."""

from __future__ import annotations

import contextlib
import functools
import os
import selectors
import sys
import threading
import time
import traceback
from _thread import allocate_lock, get_ident, start_new_thread
from collections.abc import Callable, Iterator
from typing import IO, Any

from . import files, wsgi
from .closing import has_come
from .counting import SERVER_ERROR, Counters
from .holding import Answer, hold, no_answer, pausing


class Counting:
    """Counts by Gunicorn's hooks, which see a request to its very end."""

    def __init__(self, counted: Counters) -> None:
        self._counted = counted
        self._request = threading.local()

    def begin(self, *, refused: bool = False) -> None:
        """A request begins in this thread; `refused` by a hook that raised: Gunicorn answers 500 for it."""
        self._request.since = self._counted.begin()
        self._request.refused = refused

    def end(self, response: Any) -> None:
        """It ends; without a status the app raised before it answered, and Gunicorn answers 500 for it."""
        failed = response is not None and (response.status is None or response.status_code >= SERVER_ERROR)
        failed = failed or self._request.refused or _broken_off(sys.exc_info()[1])
        self._counted.end(self._request.since, failed=failed)


def _broken_off(raised: BaseException | None) -> bool:
    """Whether an answer whose head was sent has no end, by what Gunicorn raises where it is counted out.

    That is a StopIteration for what the app raised, and SystemExit in a worker that is ended because it hung.
    """
    from_app = isinstance(raised, StopIteration) and raised.__context__ is not None
    return from_app or isinstance(raised, SystemExit)


def open_gate(worker: Any, counted: Counters, turn: IO[str] | None) -> None:
    """Come back when `worker` may accept.

    Raises:
        Leave: it never may.
    """

    def alive() -> bool:
        worker.notify()
        return bool(worker.alive)

    _linger(worker)
    if "gunicorn.workers.ggevent" in {base.__module__ for base in type(worker).__mro__}:
        from . import gunicorn_gevent  # noqa: PLC0415 - gevent is there only where it is used

        gunicorn_gevent.linger(worker)
    hold(lambda: _ask(worker, alive), pausing(worker.ppid, alive), turn)
    if files.start()["wrap"]:
        worker.wsgi = wsgi.wrap(
            worker.wsgi, wsgi.Streams(lambda: not worker.alive or files.there("aside"), counted)
        )


def _ask(worker: Any, alive: Any) -> Answer:
    """Ask where the worker serves: in its main thread, or in a thread of its pool."""

    def timed() -> Answer:
        with _watched(files.start()["check"]["timeout"], _frame_here()):
            return wsgi.ask(worker.wsgi)

    pool = getattr(worker, "tpool", None)
    if pool is None:
        return timed()
    future, pause = pool.submit(timed), pausing(worker.ppid, alive)
    while not future.done():
        pause()
    answer: Answer = future.result()
    return answer


@contextlib.contextmanager
def _watched(seconds: float, frame_of_check: Callable[[], Any]) -> Iterator[None]:
    """Say where the check hangs, if the block takes longer: from a thread, because the check's own can't.

    That thread is the system's own, taken from below `threading`: gevent makes greenlets of the others, which
    wait for the check too.
    """
    over = allocate_lock()
    over.acquire()

    def watch() -> None:
        if not over.acquire(timeout=seconds):
            _stuck(frame_of_check())

    start_new_thread(watch, ())
    try:
        yield
    finally:
        over.release()


def _frame_here() -> Callable[[], Any]:
    """A function that gives the frame that this thread, or greenlet, will be in."""
    asked, greenlet = get_ident(), sys.modules.get("greenlet")
    here = greenlet and greenlet.getcurrent()
    # there is no other way to see a thread's stack; a greenlet that waits has left its thread
    return lambda: getattr(here, "gr_frame", None) or sys._current_frames().get(asked)  # noqa: SLF001


def _stuck(frame: Any) -> None:
    stack = traceback.extract_stack(frame) if frame is not None else []
    ours = max((at for at, summary in enumerate(stack) if summary.filename == wsgi.__file__), default=-1)
    text = "".join(traceback.format_list(stack[ours + 1 :]))
    files.write(f"check.{os.getpid()}", {**no_answer(text), "settled": True})


def _linger(worker: Any) -> None:
    """Give every connection kept alive its whole linger when a gthread worker stops.

    Gunicorn has the linger as a constant, and its one loop waits up to 2 s for each client it has answered to
    close its side too: a few slow ones used up the linger of all the others, whose requests were then reset.
    """
    gthread: Any = sys.modules.get("gunicorn.workers.gthread")
    if not hasattr(gthread, "STOP_KEEPALIVE_LINGER"):
        return
    gthread.STOP_KEEPALIVE_LINGER = files.start()["linger"]
    close = gthread.TConn.close

    def close_aside(connection: Any, graceful: bool = False) -> None:
        if worker.alive or not graceful:
            close(connection, graceful)
        else:
            threading.Thread(target=close, args=(connection, True)).start()

    gthread.TConn.close = close_aside
    _keep_who_asks(worker)
    _keep_who_is_silent(worker, gthread)
    _outlive_master(worker)


def _keep_who_asks(worker: Any) -> None:
    """Look at each idle connection right before it is closed: a request may have come since the loop looked.

    When a worker leaves, all of them are due at once, and closing some hundreds takes its time.
    """
    murder = worker.murder_keepalived

    def murder_keepalived(force: bool = False) -> None:
        _close_idle(worker, worker.keepalived_conns, worker.on_client_socket_readable)
        murder(force)

    worker.murder_keepalived = murder_keepalived
    if hasattr(worker, "murder_pending"):
        worker.murder_pending = lambda: _close_idle(
            worker, worker.pending_conns, worker.on_pending_socket_readable
        )


def _close_idle(worker: Any, idle: Any, readable: Callable[[Any, Any], None]) -> None:
    """Close the connections in `idle` that are due; `readable` takes one out on which something has come."""
    while idle and idle[0].timeout <= time.monotonic():
        connection = idle[0]
        if has_come(connection.sock):
            readable(connection, connection.sock)
        else:
            idle.popleft()
            with contextlib.suppress(OSError, KeyError, ValueError):
                worker.poller.unregister(connection.sock)
            worker.nr_conns -= 1
            connection.close()


def _keep_who_is_silent(worker: Any, gthread: Any) -> None:
    """Give a connection that has sent nothing yet its linger as well.

    A thread waits for it for 5 s, and then Gunicorn's loop does; one whose thread gives up while the worker
    leaves has no parser yet, which Gunicorn takes for an error, and closes it.
    """
    if not hasattr(gthread, "_DEFER"):
        return
    finish, cap = worker.finish_request, worker._cap_keepalive  # noqa: SLF001 - there is no other way

    def finish_request(connection: Any, done: Any) -> None:
        if done.cancelled() or done.exception() or done.result() is not gthread._DEFER:  # noqa: SLF001 - the same
            finish(connection, done)
            return
        patience = worker.cfg.keepalive if worker.alive else gthread.STOP_KEEPALIVE_LINGER
        try:
            connection.sock.setblocking(False)
            connection.timeout = time.monotonic() + patience
            readable = functools.partial(worker.on_pending_socket_readable, connection)
            worker.poller.register(connection.sock, selectors.EVENT_READ, readable)
        except (OSError, KeyError, ValueError):
            worker.nr_conns -= 1
            connection.close()
        else:
            worker.pending_conns.append(connection)

    def cap_keepalive(deadline: float) -> None:
        cap(deadline)
        for connection in worker.pending_conns:
            connection.timeout = min(connection.timeout, deadline)

    worker.finish_request, worker._cap_keepalive = finish_request, cap_keepalive  # noqa: SLF001 - the same


def _outlive_master(worker: Any) -> None:
    """Have a gthread worker whose master is gone tell its clients, as on TERM, that each answer is the last.

    By itself it only leaves, and cuts at the end of the linger whoever uses a connection without a pause.
    """
    has_master = worker.is_parent_alive

    def is_parent_alive() -> bool:
        # only ever set to False: TERM, which may come at any point in here, must not be undone
        if not has_master():
            worker.alive = False
        return bool(worker.alive)

    worker.is_parent_alive = is_parent_alive
