"""How much memory a process has for itself."""

from __future__ import annotations

from pathlib import Path


def private_memory(pid: int) -> int:
    """How many bytes a process has for itself alone; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def children_of(pid: int) -> list[int]:
    """The children of a process's main thread; none where it is gone."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
