"""The intervals of the benchmarks hold what they say."""

from __future__ import annotations

import math
import random

import pytest
from benchmarks.numbers import mean_ratio, median, student


@pytest.mark.parametrize(("degrees", "t"), [(4, 2.776), (9, 2.262), (30, 2.042)])
def test_students_t_is_that_of_the_tables(degrees: int, t: float) -> None:
    assert student(degrees) == pytest.approx(t, rel=0.005)


def test_a_ratio_that_is_always_the_same_is_sure() -> None:
    estimate = mean_ratio([0.9] * 5)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.9, 0.9, 0.9))


def test_both_intervals_hold_the_truth_in_about_95_of_100_samples() -> None:
    chance = random.Random(1)
    samples = [[chance.gauss(0.0, 0.1) for _ in range(10)] for _ in range(1000)]
    of_median = sum(each.low <= 0 <= each.high for each in map(median, samples))
    ratios = [mean_ratio([math.exp(value) for value in sample]) for sample in samples]
    of_ratio = sum(each.low <= 1 <= each.high for each in ratios)
    assert 930 <= of_ratio <= 970
    assert 940 <= of_median <= 995
