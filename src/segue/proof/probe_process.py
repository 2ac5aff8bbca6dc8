"""A probe in a process of its own, for deploys: ``python -m segue.proof.probe_process``.

Standard input holds one line, a `ProbeSpec` as JSON, and then stays open: its end, which comes with the
parent's death too, or SIGTERM ends the probe. Meanwhile the spec's report file is replaced again and again;
the last report has ``"final": true``. The spec's timeline file is written once, before that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from segue.proof.probe import Probe
from segue.proof.spec import ProbeSpec

_REPORT_INTERVAL = 0.2
_STDIN = 0


async def run(spec: ProbeSpec) -> None:
    """Probe until standard input ends."""
    probe = Probe(spec)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, probe.stop)
    loop.add_reader(_STDIN, _stop_at_end, loop, probe)
    path = Path(spec.report)
    running = asyncio.create_task(probe.run())
    # whoever deploys waits for the first answer
    first = asyncio.create_task(probe.has_outcome.wait())
    await asyncio.wait((running, first), timeout=_REPORT_INTERVAL, return_when=asyncio.FIRST_COMPLETED)
    first.cancel()
    while not running.done():
        await asyncio.to_thread(_write, path, {**probe.report().as_dict(), "final": False})
        await asyncio.wait((running,), timeout=_REPORT_INTERVAL)
    report = await running
    if (timeline := probe.timeline()) is not None:
        # it is for pictures, and may lack where the disk is full: the numbers come after it
        with contextlib.suppress(OSError):
            _write(Path(spec.timeline), timeline)
    _write(path, {**report.as_dict(), "final": True})


def _stop_at_end(loop: asyncio.AbstractEventLoop, probe: Probe) -> None:
    if not os.read(_STDIN, 4096):
        loop.remove_reader(_STDIN)
        probe.stop()


def _write(path: Path, document: dict[str, Any]) -> None:
    # replaced, so that it is never read half, but not synced: it is worth nothing after a power cut
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(document), encoding="utf-8")
    temporary.rename(path)


def main() -> None:
    """Read the spec and run it."""
    # Ctrl-C reaches the whole foreground group; when the probe ends is for the parent to say
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit("segue probe: no spec on standard input")
    asyncio.run(run(ProbeSpec.from_json(line)))


if __name__ == "__main__":
    main()
