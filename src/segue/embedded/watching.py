"""``segue up --watch``: a save is deployed like any release, asked for by the keeper itself.

What counts is not that something happened to a file but that a snapshot would take something else than the
last deploy did. So what is saved while a deploy runs is not lost, and any number of saves is one more deploy.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from segue.build.fingerprint import Fingerprint, Fingerprints
from segue.core.errors import SegueError
from segue.disk.atomic import read_if_whole, write_json
from segue.disk.home import Home
from segue.embedded.server import Asker

BY = "--watch"
# A save is often several changes: they are one when each follows the one before within QUIET ms.
QUIET, LONGEST = 100, 1000

# What a developer who waits for a save to be live can do without; it beats the config.
SHORTENED = {"watch": "0s", "watch_requests": 0, "linger": "100ms", "drain_timeout": "5s"}


@dataclass
class Watching:
    """Watches one project, and has every save deployed.

    Attributes:
        home: where it lies; there what the last deploy took is kept for the next controller.
        shared: the paths that are linked into releases, as the config says now.
        deploy: carries out what `wanted` says when its turn comes, and tells how it went.
        note: tells people.
    """

    home: Home
    shared: Callable[[], tuple[str, ...]]
    deploy: Callable[[], Awaitable[None]]
    note: Callable[[str], None]
    _shared: tuple[str, ...] = ()
    _last: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._fingerprints = Fingerprints(self.home.project)
        self._looking = asyncio.Lock()
        with contextlib.suppress(OSError):
            self._last = read_if_whole(self.home.watched, {"files": str, "environment": str}) or {}

    @contextlib.asynccontextmanager
    async def remembering(self, asker: Asker) -> AsyncIterator[None]:
        """Around every deploy, whoever asked for it: what it takes need not be deployed again."""
        # before anything is copied: what is saved from here on is another deploy's
        seen = await self._look()
        try:
            yield
        finally:
            if seen is not None:
                whole = asker.verb in ("up", "deploy") and not (
                    asker.args.get("rev") or asker.args.get("path")
                )
                self._last = {
                    "files": seen.files if whole else self._files(),
                    "environment": seen.environment,
                }
                with contextlib.suppress(OSError):
                    write_json(self.home.watched, self._last)

    def _files(self) -> str:
        return self._last.get("files", "")

    async def watch(self) -> None:
        """Do so until cancelled; when that can't go on, say so: what serves has to be kept."""
        try:
            while True:
                await self._watch_same_folders()
        except Exception as error:  # noqa: BLE001 - whatever it is, the site must not end with it
            self.note(
                f"saves are not deployed any more: watching failed ({error!r}); `segue deploy` still works"
            )

    async def _watch_same_folders(self) -> None:
        """Watch until there are other folders to be watched."""
        from watchfiles import awatch  # noqa: PLC0415 - slow to import, and only --watch needs it

        seen = await self._look()
        folders = seen.folders if seen else frozenset((self.home.project,))
        changes = awatch(*folders, watch_filter=None, recursive=False, step=QUIET, debounce=LONGEST)
        change = asyncio.ensure_future(anext(changes))
        try:
            while True:
                # once it has begun it misses nothing, also while nobody asks it
                await asyncio.sleep(0)
                seen = await self._look()
                if seen is not None and seen.folders != folders:
                    return
                if await self.wanted() is not None:
                    await self.deploy()
                if any(Path(path) in folders for _, path in await change):
                    return  # one that is made again is another one
                change = asyncio.ensure_future(anext(changes))
        finally:
            change.cancel()
            await asyncio.gather(change, return_exceptions=True)
            await changes.aclose()

    async def wanted(self) -> str | None:
        """The verb that would bring in what was saved since the last deploy; None where nothing was."""
        seen = await self._look()
        if seen is None:
            return None
        if seen.files != self._last.get("files"):
            return "deploy"
        return "restart" if seen.environment != self._last.get("environment") else None

    async def _look(self) -> Fingerprint | None:
        # a config that is broken just now: the deploy says so
        with contextlib.suppress(SegueError):
            self._shared = self.shared()
        try:
            async with self._looking:
                return await asyncio.to_thread(self._fingerprints.take, self._shared)
        except SegueError as error:
            self.note(f"{error.message} Saves are not seen")
            return None
