"""Runs a command of the user's in a release: with its environment, as the app's user."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segue.core.durations import format_duration
from segue.deploy.task import run_task
from segue.run.generation import EVIDENCE_LINES, tail

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from segue.deploy.run import Run

_ENDED = "ended with status"


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        command: its words.
        status: how it ended, in words.
        printed: the last lines of what it printed.
    """

    command: tuple[str, ...]
    status: str
    printed: str

    @property
    def well(self) -> bool:
        """Whether it did what it was to do."""
        return self.status == f"{_ENDED} 0"

    @property
    def shown(self) -> str:
        """The command, as a shell would take it."""
        return shlex.join(self.command)

    def evidence(self) -> str:
        """All of it, for people."""
        return f"{self.shown}\n{self.status}\n\n{self.printed or 'it printed nothing'}"


async def run_in_release(
    run: Run,
    command: tuple[str, ...],
    *,
    generation: str,
    told: Mapping[str, str],
    limit: float,
    writes: Path | None = None,
) -> Ended:
    """Run `command` in the release of `generation`; after `limit` seconds it is ended.

    Args:
        run: the deploy that it belongs to.
        command: its words; the first is looked up in the release's own environment.
        generation: whose environment it has.
        told: what its environment has besides; no secrets.
        limit: in seconds.
        writes: a folder of the release's that it may write to; see `Tasks.of_app`.
    """
    with run.site.tasks.folder() as folder:
        status = await run_task(
            run, command, folder, generation=generation, limit=limit, told=told, writes=writes
        )
        how = f"did not end within {format_duration(limit)}" if status is None else f"{_ENDED} {status}"
        return Ended(command, how, tail(folder / "log", EVIDENCE_LINES))
