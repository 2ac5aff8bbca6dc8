"""The requests of a probe one by one, as far as there is room: what a picture of them is drawn from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.disk.atomic import read_if_whole
from segue.disk.forms import MAYBE_NUMBER, Form, fits
from segue.proof.percentile import percentile

MOST_POINTS = 2000
OK = "ok"
_POINT: dict[str, Form] = {"at": float, "ms": float, "outcome": int, "side": int}
# a thinning costs a sort: it is done once in so many requests
_SLACK = 4

_SPREAD: Form = {"count": int, **dict.fromkeys(("p50", "p95", "p99", "max"), MAYBE_NUMBER)}
_TIMELINE: Form = {
    **dict.fromkeys(("sent", "most"), int),
    "outcomes": [str],
    "sides": [str],
    "points": [list],
    "latency_ms": dict,
}


@dataclass(frozen=True, slots=True)
class Point:
    """One request.

    Attributes:
        at: seconds on the timeline, when it was to leave.
        seconds: how long it took from then, to its last byte or its failure.
        outcome: `OK`, or the failure's kind.
        side: the generation that answered; empty where nobody said so.
    """

    at: float
    seconds: float
    outcome: str
    side: str

    @property
    def failed(self) -> bool:
        """Whether it came to nothing."""
        return self.outcome != OK


class Timeline:
    """Takes every request, and keeps at most `most` of them: failures first, then the slowest.

    Attributes:
        zero: what the points' times count from, in seconds before the probe's start.
        most: how many points are kept.
    """

    def __init__(self, zero: float = 0.0, most: int = MOST_POINTS) -> None:
        self.zero, self.most = zero, most
        self._points: list[Point] = []
        self._latencies: defaultdict[str, list[float]] = defaultdict(list)
        self._sent = 0

    def add(self, planned: float, now: float, outcome: str, side: str) -> None:
        """A request that was to leave at `planned` has come to its end at `now`, seconds after the start."""
        self._sent += 1
        point = Point(planned + self.zero, now - planned, outcome, side)
        self._points.append(point)
        if not point.failed:
            self._latencies[side].append(point.seconds * 1000)
        if len(self._points) >= _SLACK * self.most:
            self._points = thinned(self._points, self.most)

    def as_dict(self) -> dict[str, Any]:
        """The timeline as it is kept beside a receipt: numbers, and the words that they stand for."""
        points = thinned(self._points, self.most)
        outcomes = [OK, *sorted({point.outcome for point in points} - {OK})]
        sides = sorted({point.side for point in points})
        return {
            "sent": self._sent,
            "most": self.most,
            "outcomes": outcomes,
            "sides": sides,
            "latency_ms": {side: _spread(found) for side, found in sorted(self._latencies.items())},
            "points": [
                [
                    round(point.at, 3),
                    round(point.seconds * 1000, 2),
                    outcomes.index(point.outcome),
                    sides.index(point.side),
                ]
                for point in points
            ],
        }


def thinned(points: list[Point], most: int) -> list[Point]:
    """At most `most` of `points`, in order of time.

    Where there are more, every failure is kept, unless they alone are too many, and of the others the
    slowest of each side in each of as many equal spans of time as there is room for.
    """
    if len(points) > most:
        failed = [point for point in points if point.failed]
        failed = _slowest_of_spans(failed, most // 2) if len(failed) > most // 2 else failed
        points = failed + _slowest_of_spans([one for one in points if not one.failed], most - len(failed))
    return sorted(points, key=lambda point: point.at)


def _slowest_of_spans(points: list[Point], room: int) -> list[Point]:
    if len(points) <= room:
        return points
    spans = max(1, room // len({point.side for point in points}))
    first, last = min(point.at for point in points), max(point.at for point in points)
    width = (last - first) / spans or 1.0
    slowest: dict[tuple[int, str], Point] = {}
    for point in points:
        key = (min(int((point.at - first) / width), spans - 1), point.side)
        if key not in slowest or point.seconds > slowest[key].seconds:
            slowest[key] = point
    return list(slowest.values())[:room]


def _spread(latencies: list[float]) -> dict[str, float | None]:
    latencies.sort()
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1}
    return {"count": len(latencies)} | {name: percentile(latencies, share) for name, share in shares.items()}


def read_timeline(path: Path) -> dict[str, Any] | None:
    """The timeline in `path`, as `Timeline.as_dict` gave it; None where there is none, or it is damaged.

    Raises:
        OSError: the file can't be read.
    """
    document: dict[str, Any] | None = read_if_whole(path, _TIMELINE)
    return document if document is not None and _is_whole(document) else None


def _is_whole(document: dict[str, Any]) -> bool:
    outcomes, sides = (range(len(document[key])) for key in ("outcomes", "sides"))
    return all(fits(spread, _SPREAD) for spread in document["latency_ms"].values()) and all(
        len(point) == len(_POINT)
        and fits(dict(zip(_POINT, point, strict=True)), {**_POINT, "outcome": outcomes, "side": sides})
        for point in document["points"]
    )
