"""What workers counted, read while they count."""

from __future__ import annotations

import array
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from segue.run.counters import Counts, read_counts
from segue.run.gate.counting import BUCKETS, CELLS, ERRORS, FINISHED, LATENCY, STARTED
from segue.run.generation import Generation

numbers = st.integers(0, 10**9)
counts = st.builds(
    Counts,
    numbers,
    numbers,
    numbers,
    numbers,
    st.lists(numbers, min_size=BUCKETS, max_size=BUCKETS).map(tuple),
)


def slot(started: int, finished: int, errors: int, *latency: int) -> list[int]:
    cells = [0] * CELLS
    cells[STARTED], cells[FINISHED], cells[ERRORS] = started, finished, errors
    cells[LATENCY : LATENCY + len(latency)] = latency
    return cells


def write(path: Path, *slots: list[int]) -> None:
    path.write_bytes(array.array("Q", [cell for cells in slots for cell in cells]).tobytes())


def test_the_slots_of_all_threads_are_added_up(tmp_path: Path) -> None:
    write(tmp_path / "counters.1", slot(3, 2, 1, 1, 1), slot(4, 4, 0, 0, 3, 1))
    assert read_counts(tmp_path / "counters.1") == Counts(7, 6, 1, 0, (1, 4, 1, *(0,) * (BUCKETS - 3)))


def test_a_worker_that_just_ended_or_just_began_has_no_counts_of_its_own(tmp_path: Path) -> None:
    assert read_counts(tmp_path / "missing") == Counts()
    (tmp_path / "counters.1").touch()
    assert read_counts(tmp_path / "counters.1") == Counts()


def test_a_generation_has_the_counts_of_all_its_workers_those_that_ended_included(tmp_path: Path) -> None:
    write(tmp_path / "counters.1", slot(3, 2, 1))
    write(tmp_path / "counters.20", slot(4, 4, 0))
    write(tmp_path / "counters.ended", slot(100, 100, 5))
    write(tmp_path / "counters.ended.new", slot(9, 9, 9))
    total = Generation("any", tmp_path).counts()
    assert (total.started, total.finished, total.errors) == (107, 106, 6)


@given(counts, counts)
def test_what_is_added_can_be_taken_away(one: Counts, other: Counts) -> None:
    assert one + other - other == one
    assert one + Counts() == one


@given(counts, st.floats(0.01, 1))
def test_a_percentile_is_one_of_the_buckets_that_were_counted(total: Counts, share: float) -> None:
    found = total.percentile_ms(share)
    counted = [2**bucket / 1000 for bucket, number in enumerate(total.latency) if number]
    assert found in (counted or [None])


def test_percentiles_are_exact_to_a_factor_of_two() -> None:
    latency = [0] * BUCKETS
    latency[(900).bit_length()], latency[(60_000).bit_length()] = 95, 5
    total = Counts(100, 100, 0, 0, tuple(latency))
    assert total.percentile_ms(0.5) == 1.024
    assert total.percentile_ms(0.99) == 65.536
    assert total.as_dict()["latency_ms"] == {"p50": 1.024, "p95": 1.024}
