"""A command that is run amid traffic."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segue.core.errors import UsageError

if TYPE_CHECKING:
    from asyncio.subprocess import Process

_END_TIMEOUT = 10.0


@dataclass
class Command:
    """Somebody's command.

    Attributes:
        argv: the program and its arguments.
        status: its exit status, negative for the signal that ended it; None until it has ended.
        seconds: how long it ran.

    Raises:
        UsageError: there is no such program.
    """

    argv: tuple[str, ...]
    status: int | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if shutil.which(self.argv[0]) is None:
            raise UsageError(
                "command",
                f"The command {self.argv[0]!r} is not found, or is not executable.",
                hint="write the program after --, as you would type it: segue probe URL -- make deploy",
            )

    async def run(self) -> None:
        """Run it to its end, its output on our stderr; when cancelled, end it first.

        Raises:
            UsageError: it can't be executed.
        """
        started = time.monotonic()
        process = await self._start()
        try:
            await process.wait()
        finally:
            # the process alone, not its group: what it has started may be what serves
            await _end(process)
            self.status = process.returncode
            self.seconds = round(time.monotonic() - started, 3)

    async def _start(self) -> Process:
        try:
            return await asyncio.create_subprocess_exec(*self.argv, stdout=sys.stderr)
        except OSError as error:
            raise UsageError(
                "command",
                f"The command {self.argv[0]!r} can't be executed: {error.strerror}.",
                hint="a script needs a first line such as #!/bin/sh",
            ) from None

    def as_dict(self) -> dict[str, Any]:
        """The ``command`` object of ``segue probe --json``."""
        return {"argv": list(self.argv), "status": self.status, "seconds": self.seconds}


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_TIMEOUT):
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
