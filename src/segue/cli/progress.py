"""Shows a deploy while it goes on: plain lines anywhere, a spinner with the elapsed time on a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from segue.core.durations import format_duration
from segue.disk.events import Event

if TYPE_CHECKING:
    from rich.status import Status

_MARKS = {"done": "ok", "failed": "FAILED"}
_COLOURS = {"done": "green", "failed": "red"}
LEAST_WIDTH = 8


class Progress:
    """Prints events to stderr; `with` it, a terminal shows the step under way as well."""

    def __init__(self, *, live: bool) -> None:
        self._live = live and sys.stderr.isatty()
        self._status: Status | None = None
        self._width = LEAST_WIDTH

    def __enter__(self) -> Self:
        if self._live:
            from rich.console import Console  # noqa: PLC0415 - slow to import, and only a terminal needs it

            self._status = Console(stderr=True).status("asking the keeper")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        match event.get("event"):
            case "begin":
                self._width = max(LEAST_WIDTH, *map(len, event["steps"]))
                self._line(_headline(event))
            case "step":
                self._step(event)
            case "scale":
                self._line(_scaling(event))
            case "say":
                self._line(f"  {'':{self._width}} {event['text']}")
            case "note":
                self._line(click.style("note: ", bold=True) + event["text"])

    def _step(self, event: Event) -> None:
        if event["status"] == "running":
            self._running(event["name"])
            return
        mark = click.style(f"{_MARKS[event['status']]:<6}", fg=_COLOURS[event["status"]])
        detail = f"  {event['detail']}" if event["detail"] else ""
        self._line(f"  {event['name']:<{self._width}} {mark} {format_duration(event['seconds']):>9}{detail}")

    def _running(self, name: str) -> None:
        if self._status is not None:
            self._status.update(_Elapsed(name, time.monotonic()))

    def _line(self, text: str) -> None:
        if self._status is None:
            click.echo(text, err=True)
            return
        from rich.text import Text  # noqa: PLC0415 - see above

        # through the spinner's own console, which takes its line away first
        self._status.console.print(Text.from_ansi(text), soft_wrap=True)


class _Elapsed:
    """The step under way and its time so far, anew at every redraw."""

    def __init__(self, name: str, since: float) -> None:
        self._name, self._since = name, since

    def __rich__(self) -> str:
        return f"{self._name}  {time.monotonic() - self._since:.0f} s"


def _scaling(event: Event) -> str:
    status = event["status"]
    mark = "" if status == "running" else click.style(f"  {_MARKS[status]}", fg=_COLOURS[status])
    what = click.style(f"scale {event['generation']}", bold=True)
    return f"{what} from {event['was']} to {event['workers']} workers{mark}"


def _headline(event: Event) -> str:
    beside = f" beside {event['previous']}" if event["previous"] else ""
    return click.style(f"{event['verb']} {event['generation']}", bold=True) + beside
