"""The pictures of the page, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.peers.row import MILLION, Row
from benchmarks.peers.table import times

# the same rows give the same file
mpl.rcParams["svg.hashsalt"] = "segue"
mpl.rcParams["svg.fonttype"] = "none"
_METADATA = {"Date": None}
_OURS, _THEIRS, _GAP = "#1b7f5c", "#8a8f98", "#c9ccd1"
_LEAST = 0.5  # where the axis of multiples begins


def lost(rows: Sequence[Row], path: Path) -> None:
    """Lost per million, a bar for each row."""
    figure, axes = _bars(rows, "lost per million requests through deploys")
    counts = [row.per_million for row in rows]
    bars = axes.barh(range(len(rows)), counts, color=_colours(rows))
    axes.bar_label(bars, [f"{count:,.0f}" for count in counts], padding=3)
    axes.set_xscale("symlog", linthresh=100)
    axes.set_xlim(0, MILLION)
    figure.savefig(path, metadata=_METADATA)


def waits(rows: Sequence[Row], path: Path) -> None:
    """The slowest request and the longest gap, as multiples of the quiet time's."""
    figure, axes = _bars(rows, "multiple of the quiet time: slowest request, and paler below it longest gap")
    slowest = [row.median(lambda each: each.slowest) for row in rows]
    gaps = [row.median(lambda each: each.gap) for row in rows]
    for values, offset, colours in ((slowest, -0.2, _colours(rows)), (gaps, 0.2, [_GAP] * len(rows))):
        places = [place + offset for place in range(len(rows))]
        bars = axes.barh(places, [value or _LEAST for value in values], height=0.4, color=colours)
        axes.bar_label(bars, [times(value) for value in values], padding=3, fontsize=8)
    axes.axvline(1, color="black", linewidth=0.5)
    axes.set_xscale("log")
    axes.set_xlim(left=_LEAST)
    axes.margins(x=0.1)
    figure.savefig(path, metadata=_METADATA)


def _bars(rows: Sequence[Row], label: str) -> tuple[Figure, mpl.axes.Axes]:
    figure = Figure(figsize=(9, 0.6 + 0.35 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(range(len(rows)), [row.name.replace("`", "") for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _colours(rows: Sequence[Row]) -> list[str]:
    return [_OURS if row.name.startswith("segue") else _THEIRS for row in rows]
