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
    line = json.dumps(event, ensure_ascii=False) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


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
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event
