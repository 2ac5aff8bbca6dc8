"""``segue status --live``: what each generation serves just now, second by second, in 80 columns.

All of it comes from the counters that the app's workers keep anyway. They tell the time that a request spent
in the app to a factor of 2, so the p95 is a bound, and says so.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from segue.core.errors import SegueError
from segue.deploy.look import ROLES
from segue.run.counters import Counts

if TYPE_CHECKING:
    from rich.table import Table

INTERVAL = 1.0
WINDOW = 10.0
NOTHING = "-"
_HEAD = ("GENERATION", "ROLE", "WORKERS", "REQ/S", "5XX", "P95", "REQUESTS")
_PLAIN = "{:<8}  {:<26}  {:<9}  {:>7}  {:>7}  {:>5}  {:>9}"
_SOURCE = "REQ/S, 5XX and P95: of the last 10 s, by the workers' own counters. q ends it."

Ask = Callable[[], dict[str, Any]]
Line = tuple[str, ...]


@dataclass(frozen=True)
class Snapshot:
    """What was served until an instant, by generation.

    Attributes:
        at: seconds of a clock that only goes forward.
        document: what `segue status --json` prints.
    """

    at: float
    document: dict[str, Any]

    def counts(self, generation: str) -> Counts | None:
        """What `generation` had served; None where it is not known."""
        for role in ROLES:
            found = self.document[role]
            if found and found["generation"] == generation and "requests" in found:
                latency = tuple(found["latency"])
                return Counts(finished=found["requests"], errors=found["errors"], latency=latency)
        return None


class Recent:
    """The snapshots of the last `WINDOW` seconds."""

    def __init__(self) -> None:
        self._kept: deque[Snapshot] = deque()

    def add(self, snapshot: Snapshot) -> None:
        """Take the newest, and forget what is older than the window."""
        self._kept.append(snapshot)
        while len(self._kept) > 2 and self._kept[1].at <= snapshot.at - WINDOW:  # noqa: PLR2004 - two make a span
            self._kept.popleft()

    def headline(self) -> str:
        """What all of it is of."""
        document = self._kept[-1].document
        return f"{document['app']}, {document['target']}; phase: {document['phase']}"

    def lines(self) -> list[Line]:
        """One line for each generation that the record names."""
        document = self._kept[-1].document
        return [self._line(role, document[role]) for role in ROLES if document[role]]

    def _line(self, role: str, told: dict[str, Any]) -> Line:
        name = told["generation"]
        role = "standby" if self._kept[-1].document.get("standby") == name else role
        now = self._kept[-1].counts(name)
        if now is None or not told["alive"]:
            return (name, role, "down", *(NOTHING,) * 4)
        rate, errors, p95 = self._since(name, now)
        return (name, role, str(told["workers"]), rate, errors, p95, f"{now.finished:,}")

    def _since(self, name: str, now: Counts) -> tuple[str, str, str]:
        """Requests a second, server errors, and what 95 of 100 requests stayed under."""
        for before in self._kept:
            then, span = before.counts(name), self._kept[-1].at - before.at
            # fewer than before: it was started anew, or somebody damaged its files
            if then is not None and span > 0 and now.finished >= then.finished:
                counts = now - then
                p95 = counts.percentile_ms(0.95)
                bound = NOTHING if p95 is None or not counts.finished else f"<{_bound(p95)}"
                return f"{counts.finished / span:.1f}", str(max(0, counts.errors)), bound
        return NOTHING, NOTHING, NOTHING


def _bound(ms: float) -> str:
    return f"{ms / 1000:.0f} s" if ms >= 1000 else f"{ms:.0f} ms" if ms >= 1 else f"{ms:.2f} ms"  # noqa: PLR2004


def follow(ask: Ask) -> None:
    """Show what `ask` tells until ``q`` or Ctrl-C: one picture on a terminal, a line a second elsewhere.

    Raises:
        SegueError: there is nothing to see from the start. What goes wrong later is shown.
    """
    recent = Recent()
    recent.add(Snapshot(time.monotonic(), ask()))
    with contextlib.suppress(KeyboardInterrupt), _keys() as pressed:
        show = _on_screen if sys.stdout.isatty() and os.environ.get("TERM") != "dumb" else _as_lines
        with show(recent) as draw:
            trouble = ""
            while True:
                draw(trouble)
                if pressed(INTERVAL) == "q":
                    return
                try:
                    recent.add(Snapshot(time.monotonic(), ask()))
                    trouble = ""
                except SegueError as error:
                    trouble = error.message


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Within the block: the key that is pressed within so many seconds, empty for none."""
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
    if keyboard is None:
        yield _no_key
        return
    before = termios.tcgetattr(keyboard)

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([keyboard], [], [], seconds)
        return sys.stdin.read(1) if ready else ""

    tty.setcbreak(keyboard)
    try:
        yield pressed
    finally:
        with contextlib.suppress(termios.error):  # it may be gone
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _no_key(seconds: float) -> str:
    time.sleep(seconds)
    return ""


Draw = Callable[[str], None]


@contextlib.contextmanager
def _as_lines(recent: Recent) -> Iterator[Draw]:
    click.echo(_PLAIN.format("TIME", *_HEAD[:6]))

    def draw(trouble: str) -> None:
        for line in recent.lines() if not trouble else []:
            click.echo(_PLAIN.format(time.strftime("%H:%M:%S"), *line[:6]))
        if trouble:
            click.echo(f"{time.strftime('%H:%M:%S')}  {trouble}")

    yield draw


@contextlib.contextmanager
def _on_screen(recent: Recent) -> Iterator[Draw]:
    from rich.console import Console, Group  # noqa: PLC0415 - slow to import
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with Live(console=Console(), auto_refresh=False) as live:

        def draw(trouble: str) -> None:
            lines = recent.lines()
            below = trouble or ("" if lines else "nothing is live")
            texts = [
                Text(text, style=style) for text, style in ((below, "bold red"), (_SOURCE, "dim")) if text
            ]
            live.update(Group(Text(recent.headline()), _table(lines), *texts), refresh=True)

        yield draw


def _table(lines: list[Line]) -> Table:
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for number, head in enumerate(_HEAD):
        table.add_column(head, justify="left" if number < 2 else "right", no_wrap=True)  # noqa: PLR2004
    for line in lines:
        bad = line[4] not in ("0", NOTHING)
        table.add_row(*line, style="red" if bad else None)
    return table
