"""When a worker leaves: stop accepting, linger, close in order what would never end, and only then stop.

A client that is one round trip away may have sent its request before it could see the end of its connection.
Linger is the time in which such a request is still answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from . import files
from .closing import closing_times, has_come

# how long an app has to see for itself that its stream was closed, before it is cancelled
GRACE = 0.3
# while something endless is open: how soon a worker sees that it stands aside
LOOK_INTERVAL = 0.5
BEAT_INTERVAL = 1.0


async def stop_accepting(servers: Sequence[Any]) -> None:
    """Close the listeners of these servers; every connection that was accepted is served on.

    asyncio accepts in one turn of its loop and makes the transport in the next: that fails without a word,
    and the client is reset, where its server was closed in between.
    """
    loop = asyncio.get_running_loop()
    for server in servers:
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
    await asyncio.sleep(0)
    for server in servers:
        server.close()


def _stands_aside() -> bool:
    return files.there("aside")


def unread(transport: Any) -> bool:
    """Whether something has come on this connection that its loop has not read yet."""
    return not transport.is_closing() and has_come(transport.get_extra_info("socket"))


class Stream:
    """A WebSocket, or an answer of server-sent events, that is open in an event loop.

    Attributes:
        over: whether it was closed because its worker leaves.
        ended: whether the app is done with it.
    """

    def __init__(self, task: asyncio.Task[Any] | None, last_word: Callable[[], Awaitable[None]]) -> None:
        self.over = False
        self.ended = asyncio.Event()
        self._last_word = last_word
        self._task = task
        self._sending = asyncio.Lock()

    async def send(self, send: Callable[[Any], Awaitable[None]], message: Any) -> None:
        """What the app sends; after the last word it is not heard any more."""
        async with self._sending:
            if not self.over:
                await send(message)

    async def close_at(self, end: float, wanted: Callable[[], bool] = lambda: True) -> None:
        """At the time `end`, if that is `wanted` still, say the last word, and end the app's side of it."""
        if await self._ends_within(end - time.monotonic()) or not wanted():
            return
        self.over = True
        # the client went away, or reads nothing of what it was sent before
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._say_last_word(), GRACE)
        if not await self._ends_within(GRACE) and self._task is not None:
            self._task.cancel()

    async def _say_last_word(self) -> None:
        async with self._sending:
            await self._last_word()

    async def _ends_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.ended.wait(), max(0.0, seconds))
        except asyncio.TimeoutError:  # noqa: UP041 - in Python 3.10 that is another one
            return False
        return True


class Leaving:
    """How one worker with an event loop leaves.

    Args:
        servers: this worker's, as asyncio made them.
        stop: has the server stop, in its own way.
        beat: tells the worker's master that it is alive, which the server does not do any more then.
    """

    def __init__(
        self, servers: Callable[[], Iterable[Any]], stop: Callable[[], None], beat: Callable[[], None]
    ) -> None:
        self.begun = False
        self._servers = servers
        self._stop = stop
        self._beat = beat
        self._open: dict[Stream, None] = {}
        self._looking: asyncio.Future[None] | None = None

    def opened(self, task: asyncio.Task[Any] | None, last_word: Callable[[], Awaitable[None]]) -> Stream:
        """A stream of the app that runs in `task`."""
        stream = Stream(task, last_word)
        self._open[stream] = None
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._stand_aside_if_told())
        return stream

    async def _stand_aside_if_told(self) -> None:
        """Close what is open in order, where this generation gets no new requests but may be needed again."""
        while self._open and not self.begun:
            if _stands_aside():
                # those that come while it closes them come because it does not stand aside any more
                streams = list(self._open)
                ends = closing_times(time.monotonic(), len(streams))
                await asyncio.gather(
                    *(stream.close_at(end, _stands_aside) for stream, end in zip(streams, ends, strict=True))
                )
            await asyncio.sleep(LOOK_INTERVAL)

    def closed(self, stream: Stream) -> None:
        """`stream` has ended."""
        stream.ended.set()
        self._open.pop(stream, None)
        if not self._open and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def begin(self, *, hurried: bool = False) -> None:
        """Leave, in the running loop; `hurried` where others wait for this worker to make room."""
        if not self.begun:
            self.begun = True
            self._task = asyncio.ensure_future(self._leave(hurried=hurried))

    def on_term(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have TERM begin it, whatever TERM did until now."""
        signal.signal(signal.SIGTERM, lambda _number, _frame: loop.call_soon_threadsafe(self.begin))

    async def _leave(self, *, hurried: bool) -> None:
        began = time.monotonic()
        try:
            await stop_accepting(await self._listening())
            await asyncio.sleep(files.start()["linger"])
            await self._close_streams(began, hurried=hurried)
        finally:
            self._stop()
        while True:
            self._beat()
            await asyncio.sleep(BEAT_INTERVAL)

    async def _close_streams(self, began: float, *, hurried: bool) -> None:
        """Close each of them once: one that an app does not let go of must not keep the rest."""
        closed = set[Stream]()
        while streams := [stream for stream in self._open if stream not in closed]:
            ends = [began] * len(streams) if hurried else closing_times(began, len(streams))
            await asyncio.gather(*(stream.close_at(end) for stream, end in zip(streams, ends, strict=True)))
            closed.update(streams)

    async def _listening(self) -> list[Any]:
        """The servers; a worker that was let go a moment ago may not listen yet."""
        while not (servers := list(self._servers())):
            await asyncio.sleep(files.POLL)
        return servers
