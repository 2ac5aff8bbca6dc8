"""A receipt's timeline as a page shows it: a picture's data, and the same as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segue.page.words import NOTHING, milliseconds, plain, seconds
from segue.proof.timeline import OK

Document = dict[str, Any]

# the mark that each stands for in the picture, its legend and the rows
OLD, NEW, OTHER, UNNAMED = "old", "new", "other", "unnamed"
_ORDER = (OLD, NEW, OTHER, UNNAMED)
# where a moment is worth a line of its own, however short it was
_TURNS = ("switch", "commit")


@dataclass(frozen=True)
class Side:
    """One generation that answered.

    Attributes:
        name: its id; empty where nobody said so.
        role: one of `OLD`, `NEW`, `OTHER`, `UNNAMED`.
        answers: how many requests succeeded.
        p50, p95, p99, slowest: their latencies.
    """

    name: str
    role: str
    answers: int
    p50: str
    p95: str
    p99: str
    slowest: str

    @property
    def label(self) -> str:
        """The side in words."""
        return {
            OLD: f"old release, {self.name}",
            NEW: f"new release, {self.name}",
            UNNAMED: "did not say which release",
        }.get(self.role, self.name)


@dataclass(frozen=True)
class Row:
    """One request."""

    at: str
    took: str
    outcome: str
    role: str
    label: str
    failed: bool


@dataclass(frozen=True)
class Shown:
    """The requests of a deploy.

    Attributes:
        sides: who answered, the old release first.
        rows: what is drawn, in order of time.
        sent: how many there were.
        plot: what the picture is drawn from.
    """

    sides: tuple[Side, ...]
    rows: tuple[Row, ...]
    sent: int
    plot: Document

    @property
    def is_thinned(self) -> bool:
        """Whether there were more than are drawn."""
        return self.sent > len(self.rows)

    @property
    def failures(self) -> int:
        """How many of what is drawn failed."""
        return sum(row.failed for row in self.rows)


def show_timeline(receipt: Document, timeline: Document | None) -> Shown | None:
    """What `timeline` tells of the deploy of `receipt`; None where it tells nothing."""
    if timeline is None or not timeline["points"]:
        return None
    sides = tuple(_side(receipt, name, timeline["latency_ms"].get(name)) for name in timeline["sides"])
    labels = [plain(side.label) for side in sides]
    rows = tuple(_row(timeline, sides, point) for point in timeline["points"])
    plot = {
        "points": timeline["points"],
        "outcomes": [plain(outcome) for outcome in timeline["outcomes"]],
        "roles": [side.role for side in sides],
        "labels": labels,
        "phases": [[step["name"], step["at_s"], step["at_s"] + step["seconds"]] for step in _timed(receipt)],
        "turns": [[step["name"], step["at_s"]] for step in _timed(receipt) if step["name"] in _TURNS],
        "end": receipt["seconds"],
    }
    ordered = tuple(sorted(sides, key=lambda side: (_ORDER.index(side.role), side.name)))
    return Shown(ordered, rows, timeline["sent"], plot)


def _timed(receipt: Document) -> list[Document]:
    return [step for step in receipt["steps"] if step.get("at_s") is not None]


def _side(receipt: Document, name: str, spread: Document | None) -> Side:
    roles = {receipt["generation"]: NEW, receipt["previous"]: OLD, "": UNNAMED}
    spread = spread or {}
    shares = (milliseconds(spread.get(key)) for key in ("p50", "p95", "p99", "max"))
    return Side(name, roles.get(name, OTHER), spread.get("count", 0), *shares)


def _row(timeline: Document, sides: tuple[Side, ...], point: list[Any]) -> Row:
    at, took, outcome, side = point
    kind, answered = timeline["outcomes"][outcome], sides[side]
    failed = kind != OK
    nobody = failed and answered.role == UNNAMED
    label = NOTHING if nobody else answered.label
    return Row(seconds(at), milliseconds(took), kind, answered.role, label, failed)
