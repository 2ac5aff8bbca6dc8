"""Connections that would never end by themselves, and how each of them ended."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

OPEN_TIMEOUT = 60.0


@dataclass(frozen=True)
class End:
    """How a stream ended.

    Attributes:
        how: the code that a WebSocket was closed with; ``whole`` where an answer came to its proper end.
        at: when, on the monotonic clock.
    """

    how: int | str
    at: float


@dataclass(frozen=True)
class Stream:
    """A stream that is open, in a thread of its own."""

    generation: str
    end: Future[End]


def websocket(pool: ThreadPoolExecutor, bind: str) -> Stream:
    """A WebSocket that has said something and was answered, and waits for more."""
    opened: Future[str] = Future()

    def run() -> End:
        with connect(f"ws://{bind}/echo", open_timeout=OPEN_TIMEOUT) as socket:
            socket.send("hello")
            assert socket.recv() == "hello"
            assert socket.response is not None
            opened.set_result(socket.response.headers["x-segue-generation"])
            try:
                socket.recv()
            except ConnectionClosed as closed:
                return End(closed.rcvd.code if closed.rcvd else "lost", time.monotonic())
            return End("spoke", time.monotonic())

    end = pool.submit(run)
    return Stream(opened.result(OPEN_TIMEOUT), end)


def server_sent_events(pool: ThreadPoolExecutor, bind: str) -> Stream:
    """An endless answer that is being read."""
    connection = http.client.HTTPConnection(bind, timeout=OPEN_TIMEOUT)
    connection.request("GET", "/events")
    response = connection.getresponse()
    first = Event()

    def run() -> End:
        try:
            while response.read1():
                first.set()
        except (OSError, http.client.HTTPException):
            return End("lost", time.monotonic())
        finally:
            connection.close()
        return End("whole", time.monotonic())

    end = pool.submit(run)
    assert first.wait(OPEN_TIMEOUT)
    return Stream(response.headers["x-segue-generation"], end)
