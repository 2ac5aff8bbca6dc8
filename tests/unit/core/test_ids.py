"""Names of releases and generations."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.core.ids import (
    earlier_id,
    generation_id,
    generation_number,
    generation_of,
    is_generation_id,
    is_receipt_id,
    is_release_id,
    new_release_id,
    release_of,
)

NOW = datetime(2026, 11, 21, 1, 34, 55, tzinfo=UTC)
times = st.datetimes(datetime(2000, 1, 1), datetime(9998, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))  # noqa: DTZ001
revisions = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=40)


def test_a_release_is_named_by_utc_time_and_revision() -> None:
    assert new_release_id(NOW, "8c1f2e9", ()) == "20261121T013455-8c1f2e9"


def test_a_name_that_is_taken_is_made_one_second_later() -> None:
    assert new_release_id(NOW, "tree", ["20261121T013455-tree"]) == "20261121T013456-tree"


def test_a_release_is_the_newest_by_its_name_whatever_the_clock_says() -> None:
    """One that seemed older than those that were made in the same second was removed in their place."""
    known = ["20261121T013457-tree", "20261121T013456-8c1f2e9", "99999999T999999-a", "99991231T235959-b"]
    assert new_release_id(NOW, "tree", known) == "20261121T013458-tree"


def test_a_start_tells_its_release_and_its_number() -> None:
    assert release_of("20261121T013455-tree.12") == "20261121T013455-tree"
    assert generation_number("20261121T013455-tree.12") == 12


@given(times, revisions, st.integers(0, 5), st.integers(1, 999_999_999))
def test_every_name_made_is_one_that_is_known_again(
    now: datetime, revision: str, taken: int, number: int
) -> None:
    names = [new_release_id(now + timedelta(seconds=second), revision, ()) for second in range(taken)]
    release = new_release_id(now, revision, names)
    generation = generation_id(release, number)
    assert release not in names
    assert is_release_id(release)
    assert not is_generation_id(release)
    assert is_generation_id(generation)
    assert (release_of(generation), generation_number(generation)) == (release, number)
    for receipt in (generation, earlier_id(generation, number)):
        assert is_receipt_id(receipt)
        assert generation_of(receipt) == generation


@given(times, times, revisions, revisions)
def test_names_sort_by_time(one: datetime, other: datetime, first: str, second: str) -> None:
    one, other = one.replace(microsecond=0), other.replace(microsecond=0)
    if one < other:
        assert new_release_id(one, first, ()) < new_release_id(other, second, ())


@pytest.mark.parametrize("number", ["", ".0", ".01", ".1\n", ".1\u0663", ".-1", ".1.1", ".1234567890"])
def test_a_start_is_numbered_from_one_in_plain_digits(number: str) -> None:
    name = f"20261121T013455-8c1f2e9{number}"
    assert not is_generation_id(name)
    for part_of in (release_of, generation_number):
        with pytest.raises(ValueError, match=re.escape(f"{name!r} is no generation's id")):
            part_of(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "latest",
        "20261121T013455",
        "20261121T013455-",
        "20261121T013455-../etc",
        "20261121T013455-8C1F2E9",
        "20261121T013455-8c1f2e9\n",
        "20261121T013455-" + 41 * "a",
        "2026112\u0661T013455-8c1f2e9",
    ],
)
def test_nothing_else_is_a_release(name: str) -> None:
    assert not is_release_id(name)
    assert not is_generation_id(f"{name}.1")


@pytest.mark.parametrize("name", ["", "~1", "a~1", "20261121T013455-tree~1"])
def test_a_receipt_is_of_a_generation(name: str) -> None:
    assert not is_receipt_id(name)


@pytest.mark.parametrize("end", ["~", "~0", "~1~1", "~-1", "~../1", "~1.html", "~\u0663", "~1\n"])
def test_an_earlier_receipt_is_numbered_in_plain_digits(end: str) -> None:
    assert not is_receipt_id(f"20261121T013455-tree.1{end}")
