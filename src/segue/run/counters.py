"""What a generation's workers have counted: read from the memory they share, while they count."""

from __future__ import annotations

import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.disk.atomic import read_plain
from segue.run.gate.counting import BUCKETS, CELLS, DRAINED, ERRORS, FINISHED, LATENCY, STARTED


@dataclass(frozen=True)
class Counts:
    """Requests, as the app server saw them.

    Attributes:
        started: requests that reached the app.
        finished: requests that the app is done with.
        errors: of those, how many ended in a status of 500 or more.
        drained: streams and WebSockets that were closed in order, because their worker left.
        latency: how many took less than ``2**i`` microseconds and no less than half of it, by ``i``.
    """

    started: int = 0
    finished: int = 0
    errors: int = 0
    drained: int = 0
    latency: tuple[int, ...] = (0,) * BUCKETS

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.started + other.started,
            self.finished + other.finished,
            self.errors + other.errors,
            self.drained + other.drained,
            tuple(a + b for a, b in zip(self.latency, other.latency, strict=True)),
        )

    def __sub__(self, other: Counts) -> Counts:
        return Counts(
            self.started - other.started,
            self.finished - other.finished,
            self.errors - other.errors,
            self.drained - other.drained,
            tuple(a - b for a, b in zip(self.latency, other.latency, strict=True)),
        )

    def percentile_ms(self, share: float) -> float | None:
        """The latency, in milliseconds, that `share` of the requests stayed under: exact to a factor of 2."""
        rank = share * sum(self.latency)
        seen = 0
        for bucket, number in enumerate(self.latency):
            seen += number
            if number and seen >= rank:
                return float(2**bucket) / 1000
        return None

    def as_dict(self) -> dict[str, Any]:
        """The counts as a receipt shows them."""
        return {
            "requests": self.finished,
            "errors": self.errors,
            "latency_ms": {"p50": self.percentile_ms(0.5), "p95": self.percentile_ms(0.95)},
        }


def read_counts(path: Path) -> Counts:
    """The counts in one worker's file; none where the worker has just ended and its file was folded.

    The app can write there too: what is left of a file that was cut short is counted.
    """
    try:
        content = read_plain(path)
    except (FileNotFoundError, ValueError):
        return Counts()
    cells = array.array("Q", content[: len(content) // 8 * 8])
    sums = [sum(cells[cell::CELLS]) for cell in range(CELLS)]
    return Counts(sums[STARTED], sums[FINISHED], sums[ERRORS], sums[DRAINED], tuple(sums[LATENCY:]))
