"""A probe from its start to its report, with or without a command amid the traffic."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
from typing import TYPE_CHECKING

from segue.proof.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segue.proof.command import Command
    from segue.proof.report import Report
    from segue.proof.spec import ProbeSpec

_BEFORE = 1.0  # seconds of traffic before a command starts: what was normal
_AFTER = 2.0  # seconds of traffic after it has ended: what it leaves behind
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def measure(spec: ProbeSpec, duration: float, command: Command | None = None) -> Report:
    """Probe for `duration` seconds, and with a `command` until it has ended and shown its effect.

    SIGINT or SIGTERM ends it early and in order; a second one at once.

    Raises:
        UsageError: `spec` can't be probed, or `command` can't be executed.
    """
    probe = Probe(spec)
    if command is None:
        with _on_signal(probe.stop):
            return await probe.run(duration)
    amid = asyncio.create_task(_run_amid(probe, command, duration))
    with _on_signal(amid.cancel):
        report = await probe.run(math.inf)
        with contextlib.suppress(asyncio.CancelledError):
            await amid
    return report


async def _run_amid(probe: Probe, command: Command, duration: float) -> None:
    try:
        await probe.has_outcome.wait()
        await asyncio.sleep(_BEFORE - probe.elapsed())
        await command.run()
        await asyncio.sleep(max(_AFTER, duration - probe.elapsed()))
    finally:
        probe.stop()


@contextlib.contextmanager
def _on_signal(stop: Callable[[], object]) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def restore() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    def stop_once() -> None:
        restore()
        stop()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop_once)
    try:
        yield
    finally:
        restore()
