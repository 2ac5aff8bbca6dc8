"""The verdict of the watch: an exact test, checked against counting by brute force."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.proof.verdict import Tally, chance_of, is_worse


@st.composite
def tallies(draw: st.DrawFn, most: int = 2000) -> Tally:
    answers = draw(st.integers(0, most))
    return Tally(answers, draw(st.integers(0, answers)))


def counted(old: Tally, new: Tally) -> Fraction:
    """The share of all ways to spread the errors over the answers that give `new` that many or more."""
    answers, errors = old.answers + new.answers, old.errors + new.errors
    ways = list(combinations(range(answers), errors))
    return Fraction(sum(sum(at < new.answers for at in way) >= new.errors for way in ways), len(ways))


@given(tallies(6), tallies(6))
def test_the_chance_is_what_counting_says(old: Tally, new: Tally) -> None:
    assert chance_of(old, new) == pytest.approx(float(counted(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "chance"),
    [
        (Tally(4, 1), Tally(4, 3), 17 / 70),  # Fisher's tea tasting
        (Tally(10, 0), Tally(10, 10), 1 / 184756),
        (Tally(5, 0), Tally(5, 0), 1.0),
    ],
)
def test_known_chances(old: Tally, new: Tally, chance: float) -> None:
    assert chance_of(old, new) == pytest.approx(chance)


@given(tallies(), tallies())
def test_a_chance_is_a_chance(old: Tally, new: Tally) -> None:
    assert 0 <= chance_of(old, new) <= 1


@given(tallies(), tallies())
def test_of_two_sides_at_most_one_is_worse(old: Tally, new: Tally) -> None:
    assert not (is_worse(old, new) and is_worse(new, old))


@given(tallies(300), tallies(300))
def test_more_errors_never_make_it_better(old: Tally, new: Tally) -> None:
    if is_worse(old, new) and new.errors < new.answers:
        assert is_worse(old, Tally(new.answers, new.errors + 1))


@given(tallies(300), st.integers(1, 20))
def test_equal_shares_are_never_worse(one: Tally, factor: int) -> None:
    many = Tally(one.answers * factor, one.errors * factor)
    assert not is_worse(one, many)
    assert not is_worse(many, one)


@given(tallies())
def test_silence_and_one_or_two_errors_prove_nothing(old: Tally) -> None:
    assert not is_worse(old, Tally(0, 0))
    assert not is_worse(old, Tally(1000, 2))


@pytest.mark.parametrize(
    ("old", "new", "worse"),
    [
        (Tally(500, 0), Tally(50, 50), True),
        (Tally(500, 0), Tally(50, 3), True),
        (Tally(50, 0), Tally(50, 3), False),
        (Tally(500, 50), Tally(50, 6), False),
        (Tally(500, 500), Tally(50, 50), False),
        (Tally(0, 0), Tally(50, 50), False),
    ],
)
def test_known_verdicts(old: Tally, new: Tally, worse: bool) -> None:
    assert is_worse(old, new) is worse
