"""Durable small files: whole, or as they were before."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segue.disk.atomic import read_json, write_json

WRITE = """
import sys
from pathlib import Path
from segue.disk.atomic import write_json
print("writing", flush=True)
number = 0
while True:
    number += 1
    write_json(Path(sys.argv[1]), {"number": number, "again": [number] * 5000})
"""
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\n\u2028é"), inner, max_size=3),
)


def test_a_killed_writer_leaves_a_whole_file_and_a_reader_never_sees_half(tmp_path: Path) -> None:
    path, chance = tmp_path / "record.json", random.Random(7)
    newest = 0
    for _ in range(8):
        with subprocess.Popen((sys.executable, "-c", WRITE, str(path)), stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline()
            deadline = time.monotonic() + chance.uniform(0.02, 0.12)
            while time.monotonic() < deadline or newest < 2:
                newest = max(newest, demand_whole(path))
            writer.kill()
        demand_whole(path)


def demand_whole(path: Path) -> int:
    document = read_json(path)
    if document is None:
        return 0
    assert document["again"] == [document["number"]] * 5000
    return int(document["number"])


@given(documents)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_what_is_written_is_what_is_read(tmp_path: Path, document: object) -> None:
    write_json(tmp_path / "a.json", document)
    assert read_json(tmp_path / "a.json") == document


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_json(path, {"number": 1})
    with pytest.raises(TypeError):
        write_json(path, {"number": {1, 2}})
    assert read_json(path) == {"number": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_is_no_document(tmp_path: Path) -> None:
    assert read_json(tmp_path / "missing.json") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"\x00", b"[" * 200_000])
def test_a_damaged_file_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(ValueError):  # noqa: PT011 - its text is the JSON parser's
        read_json(path)


def test_a_file_is_for_people_too(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "Zoë"})
    assert (tmp_path / "a.json").read_text() == '{\n "name": "Zoë"\n}\n'
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"name": "Zoë"}
