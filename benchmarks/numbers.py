"""What a sample says: a middle and how sure it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_Z = statistics.NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def median(sample: Sequence[float]) -> Estimate:
    """The median, and the interval between two order statistics: right for any distribution."""
    ordered = sorted(sample)
    count = len(ordered)
    reach = _Z * math.sqrt(count) / 2
    low = max(0, math.floor(count / 2 - reach))
    high = min(count - 1, math.ceil(count / 2 + reach))
    return Estimate(statistics.median(ordered), ordered[low], ordered[high])


def mean_ratio(ratios: Sequence[float]) -> Estimate:
    """The geometric mean of two ratios or more, with Student's interval on their logarithms."""
    logs = [math.log(ratio) for ratio in ratios]
    middle = statistics.fmean(logs)
    reach = student(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return Estimate(math.exp(middle), math.exp(middle - reach), math.exp(middle + reach))


def student(degrees: int) -> float:
    """Student's t for a 95 % interval: Abramowitz and Stegun, 26.7.5; within 0.5 % from four degrees on."""
    return (
        _Z
        + (_Z**3 + _Z) / (4 * degrees)
        + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * degrees**2)
        + (3 * _Z**7 + 19 * _Z**5 + 17 * _Z**3 - 15 * _Z) / (384 * degrees**3)
    )
