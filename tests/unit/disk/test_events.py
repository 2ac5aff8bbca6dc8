"""The event log: whatever happened to its end, what was written before and after can be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from segue.disk.events import append_event, read_events

APPEND = """
import sys
from pathlib import Path
from segue.disk.events import append_event
for number in range(300):
    append_event(Path(sys.argv[1]), {"by": sys.argv[2], "number": number, "text": "x" * number})
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_events_come_back_in_their_order(log: Path) -> None:
    events = [{"number": number, "text": "two\nlines, é\u2028"} for number in range(5)]
    for event in events:
        append_event(log, event)
    assert list(read_events(log)) == events


def test_no_log_has_no_events(log: Path) -> None:
    assert list(read_events(log)) == []


@pytest.mark.parametrize("torn", [b'{"number": 2, "te', b'{"number": "\xc3', b"null", b"[1]", b"\x00" * 99])
def test_a_torn_last_line_costs_no_other_event(log: Path, torn: bytes) -> None:
    append_event(log, {"number": 1})
    with log.open("ab") as file:
        file.write(torn)
    assert list(read_events(log)) == [{"number": 1}]
    append_event(log, {"number": 3})
    append_event(log, {"number": 4})
    assert list(read_events(log)) == [{"number": 1}, {"number": 3}, {"number": 4}]


def test_lines_of_two_writers_never_mix(log: Path) -> None:
    writers = [subprocess.Popen((sys.executable, "-c", APPEND, str(log), name)) for name in "ab"]
    assert [writer.wait(30) for writer in writers] == [0, 0]
    events = list(read_events(log))
    assert len(events) == 600
    for name in "ab":
        assert [event["number"] for event in events if event["by"] == name] == list(range(300))


def test_nobody_else_can_read_the_log(log: Path) -> None:
    append_event(log, {"number": 1})
    assert log.stat().st_mode & 0o777 == 0o600
