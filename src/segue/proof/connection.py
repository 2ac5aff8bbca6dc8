"""One HTTP/1.1 connection at a time, and the pool of those kept alive: nothing here ever retries."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h11

from segue.proof.wire import open_wire, tls_context

if TYPE_CHECKING:
    import ssl

    from segue.proof.target import Target
    from segue.proof.wire import Wire

_LARGEST_HEAD = 64 * 1024
_LONGEST_ID = 100
_LONGEST_LOCATION = 2000
_LONGEST_SEEN = 1000
_START = b"HTTP/"


class RequestError(Exception):
    """A request that got no full answer.

    Attributes:
        kind: ``eof``, ``reset``, ``truncated`` or ``protocol``.
        detail: what was seen.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Answer:
    """A full answer: its status, who said they gave it, where it leads, and what they saw of the question.

    Where nobody said so that is empty.
    """

    status: int
    release: str
    generation: str
    location: str = ""
    seen: str = ""


class Connection:
    """A connection that carries one request after the other.

    Attributes:
        idled: for how many seconds it had carried nothing before its present request; None of its first.
    """

    idled: float | None = None

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        self._has_answered = False
        self._is_at_end = False
        self._send_error: OSError | None = None

    async def exchange(self, head: h11.Request, pieces: list[bytes], pause: float) -> Answer:
        """Send one request, its body piece by piece with `pause` seconds between them, and await the answer.

        Raises:
            RequestError: no full answer came.
            OSError: the connection broke before the first byte of an answer.
        """
        self._has_answered = False
        # At once, before anything else can run: this connection has just been seen to be open.
        await self._send(head)
        # Beside the reading: a server may answer, and close, before it has taken the whole body.
        sending = asyncio.create_task(self._send_body(pieces, pause))
        try:
            return await self._read_answer()
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def _send_body(self, pieces: list[bytes], pause: float) -> None:
        for number, piece in enumerate(pieces):
            await asyncio.sleep(pause if number else 0)
            await self._send(h11.Data(piece))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        if self._send_error is not None:
            return
        try:
            await self._wire.send(self._http.send(event) or b"")
        except OSError as error:  # what the server said before it closed is read all the same
            self._send_error = error

    async def _read_answer(self) -> Answer:
        while not isinstance(response := await self._next_event(), h11.Response):
            pass
        while not isinstance(await self._next_event(), h11.EndOfMessage):
            pass
        return _answer(response)

    async def _next_event(self) -> Any:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._receive())
        except h11.RemoteProtocolError as error:
            raise RequestError("truncated" if self._is_at_end else "protocol", str(error)) from None
        return event

    async def _receive(self) -> bytes:
        try:
            data = await self._wire.receive()
        except ConnectionError as error:
            if self._has_answered:
                raise RequestError("truncated", f"in the middle of the answer: {error.strerror}") from None
            raise
        self._is_at_end = not data
        if not self._has_answered:
            self._look_at_first(data)
        self._has_answered = True
        return data

    def _look_at_first(self, data: bytes) -> None:
        if not data and self._send_error is not None:
            raise RequestError("reset", f"while sending: {self._send_error.strerror}")
        if not data:
            raise RequestError("eof", "the server closed without a byte of an answer")
        if not _START.startswith(data[: len(_START)]):
            raise RequestError("protocol", f"the answer is not HTTP: it starts with {data[:20]!r}")

    def make_reusable(self) -> bool:
        """Get ready for the next request; whether that is possible."""
        is_done = self._http.our_state is self._http.their_state is h11.DONE
        if not is_done or self._http.trailing_data != (b"", False):
            return False
        self._http.start_next_cycle()
        return True

    def is_quiet(self) -> bool:
        """Whether the server has neither closed this idle connection nor sent what nobody asked for."""
        return self._wire.is_quiet()

    def close(self) -> None:
        """Close it at once."""
        self._wire.close()


def _answer(response: h11.Response) -> Answer:
    headers = {name: value.decode("latin-1") for name, value in response.headers}
    return Answer(
        response.status_code,
        headers.get(b"x-segue-release", "")[:_LONGEST_ID],
        headers.get(b"x-segue-generation", "")[:_LONGEST_ID],
        headers.get(b"location", "")[:_LONGEST_LOCATION],
        headers.get(b"x-segue-seen", "")[:_LONGEST_SEEN],
    )


class Pool:
    """Connections to one target: idle ones that are kept alive, and new ones."""

    def __init__(self, target: Target, *, insecure: bool) -> None:
        self._target = target
        self._context: ssl.SSLContext | None = tls_context(insecure=insecure) if target.server_name else None
        self._idle: deque[tuple[Connection, float]] = deque()

    def take_idle(self) -> Connection | None:
        """The connection that idled longest and is still good, which is now the caller's alone."""
        while self._idle:
            connection, since = self._idle.popleft()
            if connection.is_quiet():
                connection.idled = time.monotonic() - since
                return connection
            connection.close()
        return None

    async def open(self) -> Connection:
        """A new connection; OSError where none comes about."""
        return Connection(await open_wire(self._target, self._context))

    def give_back(self, connection: Connection) -> None:
        """Keep `connection` for a later request where it can carry one, or close it."""
        if connection.make_reusable():
            self._idle.append((connection, time.monotonic()))
        else:
            connection.close()

    def close(self) -> None:
        """Close all that idle."""
        while self._idle:
            self._idle.popleft()[0].close()
