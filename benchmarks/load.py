"""Closed-loop load: every connection is kept alive, and asks again as soon as it was answered."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
CONNECTIONS = 8
LONGEST = 65536


class Load:
    """Connections to one server, whose answers to `REQUEST` all have one length."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(CONNECTIONS):
            made = socket.create_connection(address)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[made.fileno()] = made
            self._poll.register(made, select.EPOLLIN)
            # at once: a thread of Gunicorn's waits five seconds for the first request of a connection
            self._length = self._measure(made)

    def close(self) -> None:
        """Close all connections."""
        for each in self._sockets.values():
            each.close()
        self._poll.close()

    def rate(self, seconds: float) -> float:
        """Answers per second, over so many `seconds`.

        Raises:
            ConnectionError: one was closed, or an answer was not 200.
        """
        missing = dict.fromkeys(self._sockets, self._length)
        for each in self._sockets.values():
            each.sendall(REQUEST)
        began, answered = time.perf_counter(), 0
        while (now := time.perf_counter()) - began < seconds:
            answered += sum(self._read(number, missing, again=True) for number, _ in self._poll.poll())
        while any(missing.values()):
            for number, _ in self._poll.poll():
                self._read(number, missing, again=False)
        return answered / (now - began)

    def _read(self, number: int, missing: dict[int, int], *, again: bool) -> bool:
        """Read what has come on one connection; whether that made an answer whole."""
        data = self._sockets[number].recv(LONGEST)
        if not data or (missing[number] == self._length and not data.startswith(b"HTTP/1.1 200 ")):
            raise ConnectionError(f"an unexpected answer: {data[:200]!r}")
        missing[number] -= len(data)
        if missing[number] > 0:
            return False
        if again:
            missing[number] = self._length
            self._sockets[number].sendall(REQUEST)
        return True

    def _measure(self, connection: socket.socket) -> int:
        connection.sendall(REQUEST)
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(LONGEST)
        head, _, body = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        while len(body) < length:
            body += connection.recv(LONGEST)
        return len(head) + 4 + length


@contextlib.contextmanager
def load_on(address: tuple[str, int]) -> Iterator[Load]:
    """Connections to `address`, closed at the end."""
    load = Load(address)
    try:
        yield load
    finally:
        load.close()
