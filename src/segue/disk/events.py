"""The event log: JSON lines for people, receipts and history. Nothing is ever decided by it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Event = dict[str, Any]


def append_event(path: Path, event: Event) -> None:
    """Append `event` as one line, in one write, so that lines of two writers never mix."""
    line = json.dumps(event) + "\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # on the line that a crash cut short it would be lost with it
        os.write(descriptor, (_line_end(descriptor) + line).encode())
    finally:
        os.close(descriptor)


def _line_end(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    return "\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else ""


def read_events(path: Path) -> Iterator[Event]:
    """The events in `path`, oldest first; a line that a crash cut short is passed over."""
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                yield event
