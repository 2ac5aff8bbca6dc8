"""Whether there is memory for twice as many workers."""

from __future__ import annotations

from pathlib import Path

from segue.core.errors import Refused
from segue.reload.look import Service
from segue.reload.memory import private_memory

_SPARED = 0.1  # of what is free, for everybody else


def at_once(service: Service, count: int, memory: int) -> int:
    """How many new workers there is room for beside the old ones: all, else one.

    Args:
        service: the service.
        count: how many it has.
        memory: what a new worker took when it was tried, in bytes.

    Raises:
        Refused: there is not even room for one.
    """
    each = max(memory, *(private_memory(worker.pid) for worker in service.workers), 1)
    free = int(min(_free(), _free_in_unit(service)) * (1 - _SPARED))
    if free < each:
        raise Refused(
            "memory",
            "There is no memory for one more worker.",
            evidence=f"a worker takes {each >> 20} MiB, and {free >> 20} MiB are free",
            hint="more memory, or fewer workers; `systemctl restart` needs none, and is felt",
        )
    return count if free >= each * count else 1


def _free() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def _free_in_unit(service: Service) -> float:
    told = service.unit.told
    if not told["MemoryMax"].isdigit() or not told["MemoryCurrent"].isdigit():
        return float("inf")
    return max(0, int(told["MemoryMax"]) - int(told["MemoryCurrent"]))
