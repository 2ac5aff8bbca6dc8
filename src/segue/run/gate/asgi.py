"""An ASGI app: its lifespan is withheld from the server until this worker may accept.

A server accepts when the app says that its startup is complete. So the gate runs the app's own startup, asks
the check in the same loop and with the app's own state, holds, and only then says so. An app that knows no
lifespan gets one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import IO, Any

from . import asgi_check, files, seen
from .asgi_check import App, Message, Receive, Scope, Send, ask
from .counting import SERVER_ERROR, Counters
from .endless import is_endless, unbuffered
from .holding import Answer, Leave, Pause, hold, no_answer
from .leaving import Leaving, Stream


class StartupFailed(Exception):
    """The app said that its startup failed."""


class Lifespan:
    """The app's own lifespan, run by the gate in the place of the server."""

    def __init__(self, app: App, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._received: asyncio.Queue[Message] = asyncio.Queue()
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopped = asyncio.Event()
        self._known = True

    async def start(self) -> None:
        """Run the app's startup.

        Raises:
            StartupFailed: it failed, and said so. One that raises instead knows no lifespan.
        """
        self._task = asyncio.create_task(self._main())
        self._received.put_nowait({"type": "lifespan.startup"})
        await self._started

    async def stop(self) -> None:
        """Run the app's shutdown."""
        if self._known:
            self._received.put_nowait({"type": "lifespan.shutdown"})
            await self._stopped.wait()

    async def _main(self) -> None:
        version = {"version": "3.0", "spec_version": "2.0"}
        try:
            scope = {"type": "lifespan", "asgi": version, "state": self._state}
            await self._app(scope, self._received.get, self._said)
        except Exception:  # noqa: BLE001 - the protocol's way to say that an app knows no lifespan
            if self._started.done():
                traceback.print_exc()
        except SystemExit as error:
            if not self._started.done():
                self._started.set_exception(StartupFailed(f"it ended its process with {error.code}"))
        finally:
            self._known = False
            self._stopped.set()
            if not self._started.done():
                self._started.set_result(None)

    async def _said(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            self._started.set_result(None)
        elif message["type"] == "lifespan.startup.failed":
            self._started.set_exception(StartupFailed(message.get("message", "")))
        else:
            self._stopped.set()


Opening = Callable[[dict[str, Any]], Awaitable[None]]


class Gated:
    """`app` behind the gate: it names its release in each answer, counts, and leaves gently.

    Attributes:
        opening: called with the state of the app's lifespan when the server asks for its startup; it comes
            back when this worker may serve, and raises `Leave` when it never may. None where `open` was
            called before.
        leaving: how this worker leaves.
        left: after how many more requests it leaves by itself; 0 for never.
    """

    opening: Opening | None
    leaving: Leaving
    left: int = 0

    def __init__(self, app: App, counters: Counters) -> None:
        self._app = app
        self._counters = counters
        self._lifespan: Lifespan | None = None
        start = files.start()
        self._wraps = start["wrap"]
        self._asked_what_it_sees = start["seen"].encode()
        self._ours = [
            (b"x-segue-release", start["release"].encode()),
            (b"x-segue-generation", start["generation"].encode()),
        ]

    async def open(self, state: dict[str, Any], pause: Pause, turn: IO[str] | None) -> None:
        """Run the app's startup, ask the check, and come back when this worker may serve.

        Raises:
            Leave: it never may.
        """
        self._lifespan = Lifespan(self._app, state)
        try:
            await self._lifespan.start()
        except StartupFailed as error:
            if files.there("go"):
                # not as a worker that failed to boot: for that, its master would stop all the others as well
                traceback.print_exc()
                os._exit(1)
            files.refuse("startup", str(error) or "it gave no reason")
        await _hold_aside(self._app, state, pause, turn)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one scope, as any ASGI app does."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._answer_lifespan(scope.get("state", {}), receive, send)
        elif not self._wraps:
            await self._app(scope, receive, send)
        elif kind != "http":
            await self._converse(scope, receive, send)
        elif scope.get("query_string") == self._asked_what_it_sees:
            await self._tell_what_it_sees(scope, send)
        else:
            await self._answer(scope, receive, send)

    async def _tell_what_it_sees(self, scope: Scope, send: Send) -> None:
        headers = [*self._ours, (seen.HEADER.lower().encode(), _seen(scope).encode())]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body"})

    async def _answer_lifespan(self, state: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        try:
            if self.opening is not None:
                await self.opening(state)
        except BaseException as error:  # noqa: BLE001 - see below
            self._counters.goodbye()
            # said, not raised: a server takes what raises for an app without lifespan, and would serve it
            message = (
                "told to leave before it served" if isinstance(error, Leave | SystemExit) else repr(error)
            )
            await send({"type": "lifespan.startup.failed", "message": message})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._counters.goodbye()
        if self._lifespan is not None:
            await self._lifespan.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        since: int | None = self._counters.begin()
        status, stream = 0, None

        async def answering(message: Message) -> None:
            nonlocal status, stream, since
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), *self._ours]
                if self.leaving.begun and scope["http_version"].startswith("1"):
                    headers.append((b"connection", b"close"))
                if is_endless(headers):
                    headers += unbuffered(headers)
                    since, stream = None, self.leaving.opened(task, _last_chunk(send))
                message = {**message, "headers": headers}
            if stream is None:
                await send(message)
            else:
                await stream.send(send, message)

        failed = True
        try:
            await self._app(scope, receive, answering)
            failed = status == 0 or status >= SERVER_ERROR
        except asyncio.CancelledError:
            failed = False  # the client went away, or the stream was closed because this worker leaves
            if stream is None or not stream.over:
                raise
        except Exception:
            failed = stream is None or not stream.over
            if failed:
                raise
        finally:
            self._done(since, stream, failed=failed)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket."""
        task = asyncio.current_task()
        self._counters.begin()
        stream: Stream | None = None

        async def saying(message: Message) -> None:
            nonlocal stream
            if message["type"] == "websocket.accept":
                message = {**message, "headers": [*message.get("headers", ()), *self._ours]}
                stream = self.leaving.opened(task, _going_away(send))
            if stream is None:
                await send(message)
            else:
                await stream.send(send, message)

        failed = False
        try:
            await self._app(scope, receive, saying)
        except (Exception, asyncio.CancelledError) as error:
            if stream is None or not stream.over:
                failed = isinstance(error, Exception)
                raise
        finally:
            self._done(None, stream, failed=failed)

    def _done(self, since: int | None, stream: Stream | None, *, failed: bool) -> None:
        self._counters.end(since, failed=failed)
        if stream is not None:
            self.leaving.closed(stream)
            if stream.over:
                self._counters.drained()
        if self.left:
            self.left -= 1
            if self.left == 0:
                self.leaving.begin(hurried=True)


def _seen(scope: Scope) -> str:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    client = (scope.get("client") or [""])[0]
    return seen.told(scope["scheme"], headers.get(b"host", ""), client, headers.get(b"x-forwarded-for", ""))


def _last_chunk(send: Send) -> Callable[[], Awaitable[None]]:
    return lambda: send({"type": "http.response.body", "body": b"", "more_body": False})


def _going_away(send: Send) -> Callable[[], Awaitable[None]]:
    # 1012: the service restarts (IANA's registry of WebSocket close codes); clients come back
    return lambda: send({"type": "websocket.close", "code": 1012, "reason": "restarting"})


async def _hold_aside(app: App, state: dict[str, Any], pause: Pause, turn: IO[str] | None) -> None:
    """Hold in a thread: the loop is the app's, and what it began at its startup goes on meanwhile."""
    loop = asyncio.get_running_loop()
    held: asyncio.Future[None] = loop.create_future()

    def work() -> None:
        try:
            hold(lambda: _ask_from_aside(app, state, loop), pause, turn)
        except BaseException as error:  # noqa: BLE001 - it is raised where it was waited for
            loop.call_soon_threadsafe(held.set_exception, error)
        else:
            loop.call_soon_threadsafe(held.set_result, None)

    threading.Thread(target=work, daemon=True).start()
    await held


def _ask_from_aside(app: App, state: dict[str, Any], loop: asyncio.AbstractEventLoop) -> Answer:
    calls: list[Any] = []

    def call(*arguments: Any) -> Any:
        calls.append(app(*arguments))
        return calls[0]

    future = asyncio.run_coroutine_threadsafe(ask(call, state), loop)
    try:
        return future.result(files.start()["check"]["timeout"])
    except concurrent.futures.TimeoutError:
        stack = _where(calls)
        future.cancel()
        return no_answer(stack)


def _where(calls: list[Any]) -> str:
    """Where the check hangs: what the app awaits, or what keeps the loop from going on."""
    if awaited := "".join(_awaited(calls[0]) if calls else ()):
        return awaited
    frame = sys._current_frames()[threading.main_thread().ident or 0]  # noqa: SLF001 - the only way to see it
    stack = traceback.extract_stack(frame)
    ours = max(
        (at for at, summary in enumerate(stack) if summary.filename == asgi_check.__file__), default=-1
    )
    return "".join(traceback.format_list(stack[ours + 1 :]))


def _awaited(coroutine: Any) -> Iterator[str]:
    """The frames of a suspended coroutine, outermost first; none for one that runs."""
    while coroutine is not None and not getattr(coroutine, "cr_running", False):
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None:
            yield "".join(traceback.format_list(traceback.StackSummary.extract([(frame, frame.f_lineno)])))
        coroutine = getattr(coroutine, "cr_await", None)
