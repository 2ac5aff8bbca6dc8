"""HUP, where settings have to be read again: the old workers are told to leave before the new ones import."""

from __future__ import annotations

import asyncio
import math
import signal
import time

from segue.core.durations import format_duration
from segue.core.errors import Stranded
from segue.reload.listening import accepts
from segue.reload.roll import POLL, Roll


async def hang_up(roll: Roll) -> float:
    """Have the master read its settings and replace its workers; for how many seconds nobody accepted.

    Raises:
        Stranded: the master ended, or the new workers are not ready in time.
    """
    service, began = roll.service, time.monotonic()
    service.master.tell(signal.SIGHUP)
    waited, last_accepting = 0.0, began
    # where old ones may take for ever, new ones may not
    deadline = began + roll.ready_timeout + (0.0 if roll.drain_timeout == math.inf else roll.drain_timeout)
    while True:
        roll.demand_alive()
        now, new = time.monotonic(), roll.new()
        accepting = {worker for worker in service.master.workers() if accepts(worker.pid, service.listeners)}
        if accepting:
            waited, last_accepting = max(waited, now - last_accepting), now
        is_ready = bool(new) and new <= accepting
        if is_ready and not roll.old & service.master.workers():
            return waited
        if now > deadline and not (is_ready and roll.drain_timeout == math.inf):
            raise Stranded(
                "hup",
                f"The workers were not replaced within {format_duration(now - began)}.",
                evidence=f"{len(new)} new workers, {len(accepting)} accept",
                hint=f"`journalctl -u {service.unit.name}`, now",
            )
        await asyncio.sleep(POLL)
