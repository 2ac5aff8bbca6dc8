"""Answers per second of real servers, with the wrapper and without segue, in the order ABBA."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import load_on
from benchmarks.numbers import Estimate, mean_ratio, median
from benchmarks.servers import Server, TcpAddress, bare_server, wrapped_server

WARM_UP = 0.5
# by how much one server may differ from itself within a quadruple
SPOILT = 0.1
REPEATS = 20


@dataclass(frozen=True)
class Quadruple:
    """Answers per second, in the order of time: wrapped, bare, bare, wrapped."""

    rates: tuple[float, float, float, float]

    @property
    def ratio(self) -> float:
        """Wrapped to bare."""
        first, second, third, fourth = self.rates
        return math.sqrt(first * fourth / (second * third))

    @property
    def unrest(self) -> float:
        """By how much one of both differed from itself, as a share."""
        first, second, third, fourth = self.rates
        return max(abs(math.log(first / fourth)), abs(math.log(second / third)))


@dataclass(frozen=True)
class Comparison:
    """What the quadruples of one server say.

    Attributes:
        bare: answers per second without segue.
        ratio: wrapped to bare.
        unrest: by how much a server differed from itself within a quadruple, in the middle.
        kept: how many quadruples count.
        spoilt: how many were measured again, because a server differed too much from itself.
        starved: whether quadruples had to be kept that were spoilt.
    """

    bare: Estimate
    ratio: Estimate
    unrest: float
    kept: int
    spoilt: int
    starved: bool


def compare(server: Server, folder: Path, quadruples: int, seconds: float) -> Comparison:
    """Measure so many good `quadruples`, each on servers of its own; a spoilt one is repeated, up to a limit.

    What a process got of memory's layout lasts as long as the process: only
    new processes average that out.
    """
    tried: list[Quadruple] = []
    good: list[Quadruple] = []
    while len(good) < quadruples and len(tried) < quadruples + REPEATS:
        tried.append(_quadruple(server, folder / str(len(tried)), seconds))
        good = [each for each in tried if each.unrest <= SPOILT]
    starved = len(good) < quadruples
    kept = tried if starved else good
    return Comparison(
        bare=median([rate for each in kept for rate in each.rates[1:3]]),
        ratio=mean_ratio([each.ratio for each in kept]),
        unrest=median([each.unrest for each in kept]).value,
        kept=len(kept),
        spoilt=0 if starved else len(tried) - len(good),
        starved=starved,
    )


def _quadruple(server: Server, folder: Path, seconds: float) -> Quadruple:
    with ExitStack() as stack:
        with _on_core(-1):
            wrapped = stack.enter_context(wrapped_server(server, folder / "wrapped"))
            bare = stack.enter_context(bare_server(server, folder / "bare"))
        with _on_core(0):
            for address in (wrapped, bare):
                _rate(address, WARM_UP)
            first, second = _rate(wrapped, seconds), _rate(bare, seconds)
            third, fourth = _rate(bare, seconds), _rate(wrapped, seconds)
    return Quadruple((first, second, third, fourth))


def _rate(address: TcpAddress, seconds: float) -> float:
    with load_on(address) as load:
        return load.rate(seconds)


@contextlib.contextmanager
def _on_core(which: int) -> Iterator[None]:
    """On one core alone, with all that is started meanwhile: the servers share one, the load has another."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[which]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
