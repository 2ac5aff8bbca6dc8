"""Tries again what a full disk, or a want of descriptors, did not let happen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

FASTEST, SLOWEST = 0.2, 5.0


async def until_done(attempt: Callable[[], Awaitable[bool]]) -> None:
    """Call `attempt`, ever more slowly, until it says that it is done; what the system refuses is not."""
    pause = FASTEST
    while True:
        with contextlib.suppress(OSError):
            if await attempt():
                return
        await asyncio.sleep(pause)
        pause = min(SLOWEST, pause * 2)
