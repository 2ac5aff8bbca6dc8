"""The tally of nginx's log: whole lines alone, over a rotation, and nothing that a client wrote breaks it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.front.log import NGINX, AccessLog, Answers, Position

ONE, TWO = "20261121T013455-8c1f2e9.1", "20261121T013500-8c1f2e9.1"


def line(generation: str = ONE, status: int = 200, path: str = "/") -> str:
    return json.dumps({"path": path, "status": str(status), "generation": generation}) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> AccessLog:
    return AccessLog(tmp_path / "access.log")


def write(log: AccessLog, *lines: str) -> None:
    with log.path.open("a") as file:
        file.writelines(lines)


def test_counts_what_came_after(log: AccessLog) -> None:
    write(log, line(), line(status=500))
    since = log.position()
    assert log.tally(since) == {}
    write(log, line(), line(TWO), line(TWO, 503), line(TWO, 404), line("", 502))
    assert log.tally(since) == {ONE: Answers(1, 0), TWO: Answers(3, 1), NGINX: Answers(1, 1)}
    assert log.tally(since) == log.tally(since)


def test_a_client_that_left_is_nobodys_error(log: AccessLog) -> None:
    write(log, line(status=499), line(status=499, generation=""))
    assert log.tally(Position(0, 0)) == {}


def test_a_log_that_is_not_there_yet(log: AccessLog) -> None:
    since = log.position()
    assert log.tally(since) == {}
    write(log, line())
    assert log.tally(since) == {ONE: Answers(1, 0)}


def test_a_half_written_line_counts_when_it_is_whole(log: AccessLog) -> None:
    since = log.position()
    text = line(status=500)
    write(log, line(), text[:20])
    assert log.tally(since) == {ONE: Answers(1, 0)}
    write(log, text[20:])
    assert log.tally(since) == {ONE: Answers(2, 1)}


def test_follows_a_rotation(log: AccessLog) -> None:
    write(log, line(), line())
    since = log.position()
    write(log, line(status=500))
    rotated = log.path.rename(log.path.with_name("access.log.1"))
    assert log.tally(since) == {ONE: Answers(1, 1)}
    write(log, line(TWO))
    with rotated.open("a") as file:  # nginx has not opened the new one yet
        file.write(line())
    assert log.tally(since) == {ONE: Answers(2, 1), TWO: Answers(1, 0)}


def test_what_was_rotated_before_is_not_counted(log: AccessLog) -> None:
    log.path.with_name("access.log.1").write_text(line() * 3)
    write(log, line())
    since = Position(log.position().inode + 1000, 0)
    assert log.tally(since) == {ONE: Answers(1, 0)}


def test_a_log_that_was_emptied_in_place(log: AccessLog) -> None:
    write(log, line(), line())
    since = log.position()
    log.path.write_text(line(TWO))
    assert log.tally(since) == {TWO: Answers(1, 0)}


@pytest.mark.parametrize(
    "hostile",
    [
        "", "{", "null", "[]", "7", '"status"', "{}", '{"status": "200"}', '{"generation": "x"}',
        '{"status": null, "generation": ""}', '{"status": [], "generation": ""}', "[" * 100_000,
        '{"status": Infinity, "generation": ""}', '{"status": "' + "9" * 5000 + '", "generation": ""}',
        "127.0.0.1 - - [21/Nov/2026] GET / 200",
    ],
)  # fmt: skip
def test_hostile_lines_count_as_nothing(log: AccessLog, hostile: str) -> None:
    write(log, line(), hostile + "\n", line())
    assert log.tally(Position(0, 0)) == {ONE: Answers(2, 0)}


def test_a_name_that_is_no_generations_is_nobodys(log: AccessLog) -> None:
    write(log, line("other", 500), line(f"{ONE}, {TWO}"), line("../x"))
    assert log.tally(Position(0, 0)) == {NGINX: Answers(3, 1)}


@given(st.binary(max_size=200))
def test_no_bytes_break_it(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    log = AccessLog(tmp_path_factory.mktemp("log") / "access.log")
    log.path.write_bytes(noise + b"\n" + line().encode())
    assert log.tally(Position(0, 0))[ONE].answers >= 1
