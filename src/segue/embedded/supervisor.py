"""Starts the live master again whenever it ends; the socket queues meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from segue.core.errors import SegueError, Stranded
from segue.disk.home import Home
from segue.disk.processes import ProcessId
from segue.embedded.masters import Masters, ended

FASTEST_RESTART, SLOWEST_RESTART, STEADY = 0.1, 10.0, 10.0


@dataclass
class Supervisor:
    """Keeps one project's live master running.

    Attributes:
        home: where the record lies.
        masters: what it starts masters by.
        note: tells people.
        settle: finishes what could not be while the live master was down.
    """

    home: Home
    masters: Masters
    note: Callable[[str], None]
    settle: Callable[[], Awaitable[None]]
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def supervise(self) -> None:
        """Do so until cancelled; `changed` is to be set when another generation becomes the live one."""
        live, pause, since = None, FASTEST_RESTART, time.monotonic()
        while True:
            live = self._live(live)
            self.changed.clear()
            master = None if live is None else self._running(live)
            if live is None or self.masters.generation(live).told_to_leave():
                await self.changed.wait()
            elif master is not None:
                await self._until_changed_or(ended(master))
            else:
                steady = time.monotonic() - since > STEADY
                pause = FASTEST_RESTART if steady else min(SLOWEST_RESTART, pause * 2)
                since = time.monotonic()
                await self._restart(live, pause)
                await self._until_changed_or(asyncio.sleep(since + pause - time.monotonic()))

    def _live(self, known: str | None) -> str | None:
        """What the record says is live; `known` where the file was damaged, for the site must stay up."""
        try:
            return self.home.read_record().live
        except (Stranded, OSError):
            return known

    def _running(self, live: str) -> ProcessId | None:
        try:
            master = self.masters.generation(live).master()
        except (Stranded, OSError):
            return None  # then starting it says so, and leaves what there is alone
        return master if master is not None and master.alive() else None

    async def _restart(self, live: str, pause: float) -> None:
        words = self.masters.generation(live).log_tail(3)
        again = f"starting it again (next try in {pause:.1f} s)"
        self.note(f"the master of {live} ended; {again}. Its last words:\n{words}")
        try:
            await self.masters.spawn(live)
            if self._live(live) != live:
                # another was committed meanwhile, and this one was not there yet to be drained
                await self.masters.drain(live)
                return
            await self.masters.relieve(live)
        except SegueError:
            return
        try:
            await self.settle()
        except (SegueError, OSError) as error:
            # what serves again must not end with it
            self.note(f"what the last deploy left is still there: {error} `segue recover` ends it")

    async def _until_changed_or(self, end: Awaitable[Any]) -> None:
        waits = [asyncio.ensure_future(self.changed.wait()), asyncio.ensure_future(end)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
