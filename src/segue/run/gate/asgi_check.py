"""The check of an ASGI app, asked in its own loop and with its own state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from . import files
from .holding import Answer, answered, demand_bytes, raised

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST_ANSWER = 1000
_LIKE_BYTES = (bytes, bytearray, memoryview)


class _Told:
    """What an app has answered so far.

    Attributes:
        start: the message with status and headers.
        over: set when there is no more to come, or more than anybody waits for.
        length: how many messages came.
    """

    def __init__(self) -> None:
        self.start: Message = {}
        self.over = asyncio.Event()
        self.length = 0

    async def send(self, message: Message) -> None:
        """Take the next message; an error is raised in the app, as its server would."""
        self.length += 1
        if message["type"] == "http.response.start":
            self.start = {"status": _code(message["status"]), "headers": _texts(message.get("headers", ()))}
        elif message["type"] == "http.response.body":
            demand_bytes(message.get("body", b""), _LIKE_BYTES)
            if not message.get("more_body", False):
                self.over.set()
        if self.length > LONGEST_ANSWER:
            self.over.set()
        # an app that waits for nothing else would keep the loop for itself
        await asyncio.sleep(0)

    def answer(self) -> Answer:
        """All of it."""
        if not self.over.is_set() or not self.start:
            raise RuntimeError("the app returned before it had answered")
        return answered(**self.start)


def _code(status: Any) -> str:
    if not isinstance(status, int):
        raise TypeError(f"the status is of type {type(status).__name__}, not int")
    return str(int(status))


def _texts(headers: Any) -> dict[str, str]:
    pairs = [(demand_bytes(name, _LIKE_BYTES), demand_bytes(value, _LIKE_BYTES)) for name, value in headers]
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


async def ask(app: App, state: dict[str, Any]) -> Answer:
    """Ask `app` the check's question; what it answered, as plain data."""
    told = _Told()
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if asked:
            return asked.pop()
        await told.over.wait()
        return {"type": "http.disconnect"}

    answering = asyncio.ensure_future(_call(app, _scope(state), receive, told.send))
    ended = asyncio.ensure_future(told.over.wait())
    try:
        await asyncio.wait((answering, ended), return_when=asyncio.FIRST_COMPLETED)
        if not told.over.is_set():
            _demand_no_error(answering)
        return told.answer()
    except Exception as error:  # noqa: BLE001 - an app may raise anything: that is its answer
        return raised(error)
    finally:
        ended.cancel()
        # what an app does after its answer is its own; what gives no end of an answer is ended
        if told.length > LONGEST_ANSWER or not told.over.is_set():
            answering.cancel()


async def _call(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await app(scope, receive, send)
    except SystemExit as error:
        # it would end the loop, and nobody would know why
        raise RuntimeError(f"the app ended its process with {error.code}") from error


def _demand_no_error(answering: asyncio.Future[None]) -> None:
    if answering.cancelled():
        raise RuntimeError("the app cancelled its own answer")
    answering.result()


def _scope(state: dict[str, Any]) -> Scope:
    check = files.start()["check"]
    host, _, port = check["host"].rpartition(":") if ":" in check["host"] else (check["host"], "", "80")
    path, _, query = check["path"].partition("?")
    headers = [(b"host", check["host"].encode()), (b"user-agent", b"segue-check"), (b"accept", b"*/*")]
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "GET", "scheme": check["scheme"], "path": unquote(path), "raw_path": path.encode(),
        "query_string": query.encode(), "root_path": "", "headers": headers, "client": ("127.0.0.1", 0),
        "server": (host, int(port) if port.isdigit() else 80), "state": state.copy(), "extensions": {},
    }  # fmt: skip
