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
POLL = 0.05


@dataclass(frozen=True)
class Measurement:
    """The probe while it runs. It ends with the executor: its standard input is the executor's to close."""

    process: Process
    file: Path

    @classmethod
    async def begin(cls, config: AppConfig, address: Address, file: Path) -> Measurement:
        """Start it, and wait until it has measured something."""
        spec = ProbeSpec(
            url=f"http://{config.check_host or address.host_header}{config.check}",
            connect=str(address.reachable),
            rate=config.probe_rate,
            timeout=max(LONGEST_ANSWER, config.check_timeout),
            report=str(file),
        )
        argv = (sys.executable, "-P", "-m", "segue.proof.probe_process")
        process = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, start_new_session=True)
        if process.stdin is None:
            raise RuntimeError("the probe's pipe was asked for")
        process.stdin.write(spec.to_json().encode() + b"\n")
        measurement = cls(process, file)
        try:
            await measurement._first_answer()
        except BaseException:
            # whoever asked for it is told to stop, and never gets to know of it
            process.kill()
            raise
        return measurement

    async def _first_answer(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_ANSWER_TIMEOUT):
                while not (self.report() or {}).get("sent"):
                    await asyncio.sleep(POLL)

    def report(self) -> dict[str, Any] | None:
        """What it has measured so far; None before its first word."""
        document: dict[str, Any] | None = read_if_whole(self.file, TRAFFIC)
        return document

    async def end(self) -> dict[str, Any] | None:
        """Stop it, after the requests that are in flight; everything it measured."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(LAST_ANSWER_TIMEOUT):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        return self.report()
