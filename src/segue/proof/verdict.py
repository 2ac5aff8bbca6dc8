"""The verdict of the watch: is the new release worse than the old one? Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma

FEWEST_ERRORS = 3
CHANCE = 0.001


@dataclass(frozen=True)
class Tally:
    """Answers of one side, and how many of them were errors."""

    answers: int
    errors: int

    def share(self) -> float:
        """The share of errors, 0 where there were no answers."""
        return self.errors / self.answers if self.answers else 0.0


def chance_of(old: Tally, new: Tally) -> float:
    """How likely it is that `new` has that many errors if it were as good as `old`.

    Fisher's exact test, one-sided: exact for the small numbers of a watch, where percentages mislead.
    """
    errors, answers = old.errors + new.errors, old.answers + new.answers
    most = min(errors, new.answers)
    all_ways = _log_comb(answers, errors)
    return min(
        1.0,
        sum(
            exp(_log_comb(new.answers, k) + _log_comb(old.answers, errors - k) - all_ways)
            for k in range(new.errors, most + 1)
            if errors - k <= old.answers
        ),
    )


def _log_comb(n: int, k: int) -> float:
    """The logarithm of n over k: the numbers themselves would have thousands of digits under real load."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def is_worse(old: Tally, new: Tally) -> bool:
    """Whether `new` is worse than `old` beyond chance (1 in 1,000), by three errors at least."""
    return new.errors >= FEWEST_ERRORS and new.share() > old.share() and chance_of(old, new) < CHANCE
