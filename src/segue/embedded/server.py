"""The keeper's ear: a unix socket that only its user can reach. Bad input gets an error and does no harm."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from segue import __version__
from segue.core.errors import Bug, Refused, SegueError, UsageError
from segue.deploy.protocol import HANDOVER, LONGEST_LINE, REQUEST_TIMEOUT, check_args, decode, encode
from segue.disk.events import Event

MOST_WAITING_EVENTS = 1000


class Asker:
    """One connection: what it asked for, and the events on their way to it."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.verb = str(request.get("verb"))
        self.args: dict[str, Any] = request.get("args", {})
        self.by = str(request.get("by", ""))[:100]
        self.queued: asyncio.Task[Any] | None = None  # while Ctrl-C ends it: its wait for its turn, a scaling
        self.events: asyncio.Queue[Event] = asyncio.Queue(MOST_WAITING_EVENTS)

    def tell(self, event: Event) -> None:
        """Put `event` on its way; one that does not read loses events, and holds nothing up."""
        with contextlib.suppress(asyncio.QueueFull):
            self.events.put_nowait(event)


Answer = Callable[[Asker], Awaitable[tuple[dict[str, Any], int]]]
Cancel = Callable[[Asker], None]


class Server:
    """Listens for askers and hands each request to `answer`; `cancel` is told when one presses Ctrl-C."""

    def __init__(self, answer: Answer, cancel: Cancel) -> None:
        self._answer = answer
        self._cancel = cancel
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, path: Path) -> asyncio.Server:
        """Listen on `path`, whatever a keeper that died left there."""
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        return await asyncio.start_unix_server(self._connected, sock=sock, limit=LONGEST_LINE)

    async def finish(self) -> None:
        """Wait until every asker has its answer."""
        if self._connections:
            await asyncio.wait(self._connections, timeout=REQUEST_TIMEOUT)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            document, code = await self._converse(reader, writer)
            await _send(writer, {"document": document, "exit_code": code})
        except (OSError, TimeoutError):
            pass  # the asker went away; what it asked for goes on
        finally:
            writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[dict[str, Any], int]:
        try:
            asker = Asker(await _request(reader))
            return await self._follow(asker, reader, writer)
        except SegueError as error:
            return {"ok": False, "error": error.as_dict()}, error.exit_code
        except Exception as error:  # noqa: BLE001 - one bad request must not end the keeper
            bug = Bug("bug", f"The keeper failed: {error!r}.")
            return {"ok": False, "error": bug.as_dict()}, bug.exit_code

    async def _follow(
        self, asker: Asker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[dict[str, Any], int]:
        answer = asyncio.ensure_future(self._answer(asker))
        sending = asyncio.create_task(_send_events(asker, writer))
        listening = asyncio.create_task(self._listen_for_cancel(asker, reader))
        try:
            return await asyncio.shield(answer)
        finally:
            sent = asyncio.create_task(asker.events.join())
            await asyncio.wait((sent, sending), timeout=REQUEST_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            for task in (sent, sending, listening):
                task.cancel()
            await asyncio.gather(sent, sending, listening, return_exceptions=True)

    async def _listen_for_cancel(self, asker: Asker, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ValueError, OSError):
            while line := await reader.readline():
                if decode(line).get("verb") == "cancel":
                    self._cancel(asker)
        if asker.verb == HANDOVER:
            # a deploy goes on without its asker, but nobody is there any more to hand over to
            self._cancel(asker)


async def _request(reader: asyncio.StreamReader) -> dict[str, Any]:
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT):
            request = decode(await reader.readline())
    except TimeoutError:
        raise UsageError("request", f"No request came within {REQUEST_TIMEOUT:g} s.") from None
    except ValueError as error:
        raise UsageError("request", f"That is no request: {error}.") from None
    version = request.get("version")
    if version != __version__ and request.get("verb") != HANDOVER:
        raise Refused(
            "keeper_version",
            f"The keeper that runs is segue {__version__}, and this is segue {str(version)[:20]}.",
            evidence=f"keeper: segue {__version__}, pid {os.getpid()}",
            hint="`segue up --upgrade` replaces it by the segue that is installed now, and loses no request",
        )
    try:
        check_args(request.get("args", {}))
    except ValueError as error:
        raise UsageError("request", f"That is no request: {error}.") from None
    return request


async def _send_events(asker: Asker, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while True:
            await _send(writer, {"event": await asker.events.get()})
            asker.events.task_done()


async def _send(writer: asyncio.StreamWriter, document: dict[str, Any]) -> None:
    writer.write(encode(document))
    async with asyncio.timeout(REQUEST_TIMEOUT):
        await writer.drain()
