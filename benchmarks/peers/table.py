"""The table of rows, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.peers.row import Bad, Races, Row

COLUMNS = (
    "deployed by",
    "lost per million (of n)",
    "races lost",
    "slowest request",
    "longest gap",
    "new release after",
    "does not import",
    "unhealthy",
    "memory",
)
LARGE = 10  # from here on a multiple goes without decimals
STARVED = "(starved)"


@dataclass(frozen=True)
class Failed:
    """A peer without a row, and why."""

    name: str
    reason: str


Made = Row | Failed


def table(rows: Iterable[Made]) -> str:
    """Markdown: a row for each peer that ran, and the reason in that of each that could not."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Made) -> tuple[str, ...]:
    if isinstance(row, Failed):
        return (row.name, f"not run: {_escaped(row.reason)}", *("" for _ in COLUMNS[2:]))
    return (
        f"{row.name} {STARVED}" if row.starved else row.name,
        _lost(row),
        _races(row.races),
        times(row.median(lambda each: each.slowest)),
        times(row.median(lambda each: each.gap)),
        _seconds(row.median(lambda each: each.seconds)),
        _bad(row.no_import),
        _bad(row.unhealthy),
        times(row.median(lambda each: each.memory)),
    )


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _lost(row: Row) -> str:
    quiet = f"; {row.lost_in_quiet:,} more in quiet" if row.lost_in_quiet else ""
    return f"{row.per_million:,.0f} ({row.lost:,} of {row.sent:,}{quiet})"


def times(value: float | None) -> str:
    """A multiple; two digits that count."""
    if value is None:
        return "nobody answered"
    return f"{value:,.{0 if value >= LARGE else 1}f}×"  # noqa: RUF001 - a multiplication sign is meant


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def _races(races: Races) -> str:
    if races.trouble:
        return f"not run: {_escaped(races.trouble)}"
    return f"{races.lost} of {races.run}{f' {STARVED}' if races.late else ''}"


def _bad(bad: Bad) -> str:
    return f"{bad.fate}; {bad.lost:,} of {bad.sent:,} lost"
