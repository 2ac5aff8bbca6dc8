"""Answers per second of real servers, with the wrapper and without segue, in the order ABBA."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Load, load_on
from benchmarks.numbers import Estimate, mean_ratio, median
from benchmarks.servers import Server, bare_server, wrapped_server

WARM_UP = 0.5
# an interval that reaches further to a side says that the machine was busy with something else
WIDE = 0.03


@dataclass(frozen=True)
class Quadruple:
    """Answers per second, in the order of time: wrapped, bare, bare, wrapped."""

    rates: tuple[float, float, float, float]

    @property
    def ratio(self) -> float:
        """Wrapped to bare."""
        first, second, third, fourth = self.rates
        return math.sqrt(first * fourth / (second * third))


@dataclass(frozen=True)
class Comparison:
    """What the pairs of one server say.

    Attributes:
        bare: answers per second without segue.
        ratio: wrapped to bare.
        pairs: how many pairs of servers were compared.
    """

    bare: Estimate
    ratio: Estimate
    pairs: int

    @property
    def starved(self) -> bool:
        """Whether the machine was too busy for a sharp answer."""
        return math.log(self.ratio.high / self.ratio.low) / 2 > WIDE


def compare(server: Server, folder: Path, pairs: int, quadruples: int, seconds: float) -> Comparison:
    """Compare so many `pairs` of new servers, each by so many short `quadruples` with `seconds` a turn.

    Short turns, because what else runs on the machine comes and goes within
    seconds: it meets both servers alike, and the median of a pair's quadruples
    does not see a burst. New servers, because what a process got of memory's
    layout lasts as long as the process.
    """
    seen = [_pair(server, folder / str(number), quadruples, seconds) for number in range(pairs)]
    return Comparison(
        bare=median([rate for pair in seen for each in pair for rate in each.rates[1:3]]),
        ratio=mean_ratio([median([each.ratio for each in pair]).value for pair in seen]),
        pairs=pairs,
    )


def _pair(server: Server, folder: Path, quadruples: int, seconds: float) -> list[Quadruple]:
    with ExitStack() as stack:
        with _on_core(-1):
            wrapped = stack.enter_context(wrapped_server(server, folder / "wrapped"))
            bare = stack.enter_context(bare_server(server, folder / "bare"))
        with _on_core(0):
            ours, plain = (stack.enter_context(load_on(address)) for address in (wrapped, bare))
            for load in (ours, plain):
                load.rate(WARM_UP)
            return [_quadruple(ours, plain, seconds) for _ in range(quadruples)]


def _quadruple(wrapped: Load, bare: Load, seconds: float) -> Quadruple:
    first, second = wrapped.rate(seconds), bare.rate(seconds)
    third, fourth = bare.rate(seconds), wrapped.rate(seconds)
    return Quadruple((first, second, third, fourth))


@contextlib.contextmanager
def _on_core(which: int) -> Iterator[None]:
    """On one core alone, with all that is started meanwhile: the servers share one, the load has another."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[which]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
