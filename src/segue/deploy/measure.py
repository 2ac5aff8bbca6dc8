"""The deploy's own probe: a process beside the executor that sends requests in by the users' door."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.config.schema import AppConfig
from segue.core.address import Address
from segue.disk.atomic import read_if_whole
from segue.proof.receipt import TRAFFIC
from segue.proof.spec import ProbeSpec

FIRST_ANSWER_TIMEOUT = 5.0
LONGEST_ANSWER = 10.0
LAST_ANSWER_TIMEOUT = 15.0
POLL = 0.02


@dataclass(frozen=True)
class Measurement:
    """The probe while it runs. It ends with the executor: its standard input is the executor's to close.

    Attributes:
        process: the probe's.
        file: what it has measured so far.
        patience: the loop's time until which its first answer is waited for.
    """

    process: Process
    file: Path
    patience: float

    @classmethod
    async def begin(
        cls, config: AppConfig, address: Address, file: Path, timeline: Path, zero: float
    ) -> Measurement:
        """Start it; `answered` waits until it has measured something.

        Args:
            config: what it asks for, and how often.
            address: where.
            file: what it measures, for this process.
            timeline: its requests one by one, at its end.
            zero: the monotonic time that those count from.
        """
        return await cls._start(
            ProbeSpec(
                url=f"http://{config.check_host or address.host_header}{config.check}",
                connect=str(address.reachable),
                rate=config.probe_rate,
                timeout=max(LONGEST_ANSWER, config.check_timeout),
                report=str(file),
                timeline=str(timeline),
                zero=zero,
            )
        )

    @classmethod
    async def of(cls, spec: ProbeSpec) -> Measurement:
        """Start what `spec` says, and wait until it has measured something."""
        measurement = await cls._start(spec)
        try:
            await measurement.answered()
        except BaseException:
            # whoever asked for it is told to stop, and never gets to know of it
            measurement.process.kill()
            raise
        return measurement

    @classmethod
    async def _start(cls, spec: ProbeSpec) -> Measurement:
        argv = (sys.executable, "-P", "-m", "segue.proof.probe_process")
        process = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, start_new_session=True)
        if process.stdin is None:
            raise RuntimeError("the probe's pipe was asked for")
        process.stdin.write(spec.to_json().encode() + b"\n")
        return cls(process, Path(spec.report), asyncio.get_running_loop().time() + FIRST_ANSWER_TIMEOUT)

    async def answered(self) -> None:
        """Wait until it has measured something, or has had the time for it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self.patience):
                while not (self.report() or {}).get("sent"):
                    await asyncio.sleep(POLL)

    def report(self) -> dict[str, Any] | None:
        """What it has measured so far; None before its first word."""
        document: dict[str, Any] | None = read_if_whole(self.file, TRAFFIC)
        return document

    async def end(self) -> dict[str, Any] | None:
        """Stop it, after its first answer and the requests that are in flight; everything it measured."""
        with contextlib.suppress(OSError):  # whatever there is to read: it has to be told to stop
            await self.answered()
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(LAST_ANSWER_TIMEOUT):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        return self.report()
