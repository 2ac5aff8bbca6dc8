"""Runs a command of the user's in a release: with its environment, as the app's user."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segue.core.durations import format_duration
from segue.core.ids import release_of
from segue.run.generation import EVIDENCE_LINES, tail
from segue.run.start import generation_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segue.deploy.run import Run

WELL = "ended with status 0"


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
        return self.status == WELL

    @property
    def shown(self) -> str:
        """The command, as a shell would take it."""
        return shlex.join(self.command)

    def evidence(self) -> str:
        """All of it, for people."""
        return f"{self.shown}\n{self.status}\n\n{self.printed or 'it printed nothing'}"


async def run_in_release(
    run: Run, command: tuple[str, ...], *, generation: str, told: Mapping[str, str], limit: float
) -> Ended:
    """Run `command` in the release of `generation`; after `limit` seconds it is ended.

    Args:
        run: the deploy that it belongs to.
        command: its words; the first is looked up in the release's own environment.
        generation: whose environment it has.
        told: what its environment has besides; no secrets.
        limit: in seconds.
    """
    env = {**_environment(run, generation), **told}
    cwd = run.site.home.release(release_of(generation))
    with run.site.tasks.folder() as folder, (folder / "log").open("wb") as output:
        try:
            async with (
                asyncio.timeout(limit),
                run.site.tasks.of_app(*command, cwd=cwd, env=env, folder=folder, output=output) as process,
            ):
                status = f"ended with status {await process.wait()}"
        except TimeoutError:
            status = f"did not end within {format_duration(limit)}"
        except (FileNotFoundError, PermissionError) as error:
            status = f"could not be started: {error.strerror}"
        printed = tail(folder / "log", EVIDENCE_LINES)
    return Ended(command, status, printed)


def _environment(run: Run, generation: str) -> dict[str, str]:
    release = release_of(generation)
    return generation_environment(
        run.site.environ,
        project=run.site.home.project,
        release=run.site.home.release(release),
        python=run.site.releases.python(release),
        folder=run.site.home.generation(generation),
    )
