"""Durations as people write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.core.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30.0),
        ("1.5s", 1.5),
        ("2m", 120.0),
        ("1h", 3600.0),
        (" 5s ", 5.0),
    ],
)
def test_a_number_and_a_unit_is_a_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "1 s", "1e3s", "1d", "1s1s", ".5s", "\u0663s", "1S"])
def test_nothing_else_is_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0844, "84 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (3.2, "3.2 s"),
        (119.94, "119.9 s"),
        (119.96, "2 m 00 s"),
        (125.0, "2 m 05 s"),
        (3600.0, "60 m 00 s"),
    ],
)
def test_a_duration_is_shown_in_the_unit_that_fits_it(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(0, 119.9))
def test_what_is_shown_is_never_off_by_more_than_its_last_digit(seconds: float) -> None:
    text = format_duration(seconds).replace(" ", "")
    assert parse_duration(text) == pytest.approx(seconds, abs=0.051)
