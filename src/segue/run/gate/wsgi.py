"""A WSGI app: its check, and the thin wrapper around it."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from . import files, seen
from .closing import closing_times
from .counting import Counters
from .holding import LONGEST_STATUS, Answer, answered, demand_bytes, raised

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]
LONGEST_ANSWER = 1000
# what Gunicorn 27 lets into the head of an answer (gunicorn/http/wsgi.py)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[ \t\x21-\x7e\x80-\xff]*")


def wrap(app: Application, streams: Streams) -> Application:
    """`app` with the release headers.

    Its iterable is returned as it is, so that sendfile stays. Only a stream of server-sent events is
    followed, to be closed in order when the worker leaves.
    """
    start_document = files.start()
    ours = [
        ("X-Segue-Release", start_document["release"]),
        ("X-Segue-Generation", start_document["generation"]),
    ]

    asked_what_it_sees = start_document["seen"]

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ.get("QUERY_STRING") == asked_what_it_sees:
            start_response("204 No Content", [*ours, (seen.HEADER, _seen(environ))])
            return []
        endless = False

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal endless
            endless = _is_endless(headers)
            unbuffered = _unbuffered(headers) if endless else []
            return start_response(status, [*headers, *ours, *unbuffered], exc_info)

        body = app(environ, start)
        return Stream(body, streams) if endless else body

    return answer


def _seen(environ: dict[str, Any]) -> str:
    names = ("HTTP_HOST", "REMOTE_ADDR", "HTTP_X_FORWARDED_FOR")
    return seen.told(environ["wsgi.url_scheme"], *(environ.get(name, "") for name in names))


def _is_endless(headers: list[tuple[str, str]]) -> bool:
    for name, value in headers:  # in every answer of the app's: `any` would cost twice as much
        if name.lower() == "content-type" and value.startswith("text/event-stream"):
            return True
    return False


def _unbuffered(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What has nginx pass on each event when it comes; nothing where the app has a word of its own."""
    if any(name.lower() == "x-accel-buffering" for name, _ in headers):
        return []
    return [("X-Accel-Buffering", "no")]


class Streams:
    """The streams of server-sent events that one worker has open.

    Args:
        leaving: whether the worker is leaving, or stands aside: nobody new comes to it.
        counters: where those are counted that it closes.
    """

    def __init__(self, leaving: Callable[[], bool], counters: Counters) -> None:
        self._leaving = leaving
        self._counters = counters
        self._lock = threading.Lock()
        self._ends: dict[Stream, float | None] = {}
        self._told = False

    def opened(self, stream: Stream) -> None:
        """`stream` begins."""
        with self._lock:
            self._ends[stream] = None

    def closed(self, stream: Stream) -> None:
        """`stream` has ended."""
        with self._lock:
            self._ends.pop(stream, None)

    def is_over(self, stream: Stream) -> bool:
        """Whether `stream` is to end now, because its worker leaves or stands aside."""
        if not self._leaving():
            if self._told:
                self._stay()
            return False
        with self._lock:
            if not self._told or self._ends.get(stream) is None:
                self._tell()
            over = time.monotonic() >= (self._ends[stream] or 0)
        if over:
            self._counters.drained()
        return over

    def _stay(self) -> None:
        """It stood aside, and does no more."""
        with self._lock:
            self._told = False
            self._ends = dict.fromkeys(self._ends)

    def _tell(self) -> None:
        self._told = True
        waiting = [stream for stream, end in self._ends.items() if end is None]
        self._ends.update(zip(waiting, closing_times(time.monotonic(), len(waiting)), strict=True))


class Stream:
    """The body of one endless answer, which ends when its worker has to."""

    def __init__(self, body: Any, streams: Streams) -> None:
        self._body = body
        self._chunks: Iterator[bytes] = iter(body)
        self._streams = streams
        streams.opened(self)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._streams.is_over(self):
            raise StopIteration
        return next(self._chunks)

    def close(self) -> None:
        """Let the app close what it opened for this answer."""
        self._streams.closed(self)
        if hasattr(self._body, "close"):
            self._body.close()


def ask(app: Application) -> Answer:
    """Ask `app` the check's question; what it answered, as plain data."""
    seen: list[tuple[str, dict[str, str]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if seen and not exc_info:
            raise AssertionError("start_response was called before")
        seen[:] = [(_text(status), {_text(name, _NAME).lower(): _text(value) for name, value in headers})]
        return demand_bytes

    try:
        with contextlib.ExitStack() as stack:
            body = app(_environ(files.start()["check"]), start_response)
            if hasattr(body, "close"):
                stack.callback(body.close)
            for piece in itertools.islice(body, LONGEST_ANSWER):
                demand_bytes(piece)
        return answered(*_only(seen))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an app may raise anything: that is its answer
        return raised(error)


def _only(seen: list[tuple[str, dict[str, str]]]) -> tuple[str, dict[str, str]]:
    if not seen:
        raise RuntimeError("the app never called start_response")
    return seen[0]


def _text(value: Any, pattern: re.Pattern[str] = _VALUE) -> str:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise TypeError(f"{ascii(value)[:LONGEST_STATUS]} can't be in the head of an answer")
    return value


def _environ(check: dict[str, Any]) -> dict[str, Any]:
    host, _, port = check["host"].rpartition(":") if ":" in check["host"] else (check["host"], "", "80")
    path, _, query = check["path"].partition("?")
    return {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
        "RAW_URI": check["path"], "SERVER_NAME": host, "SERVER_PORT": port, "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": check["host"], "HTTP_USER_AGENT": "segue-check",
        "wsgi.version": (1, 0), "wsgi.url_scheme": check["scheme"], "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr, "wsgi.multithread": False, "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }  # fmt: skip
