"""What the kernel says of a process's signals: the masks in proc(5)'s status."""

from __future__ import annotations

from pathlib import Path


def catches(pid: int, number: int) -> bool:
    """Whether process `pid` has a handler for signal `number`; one that is gone has none."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    mask = next((line.split()[1] for line in text.splitlines() if line.startswith("SigCgt:")), "0")
    return bool(int(mask, 16) >> number - 1 & 1)
