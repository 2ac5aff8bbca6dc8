"""Runs a part of the gate once, in the release's own interpreter and apart from everything that serves."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from segue.core.ids import release_of
from segue.deploy.commands import in_thread
from segue.disk.atomic import read_if_whole
from segue.disk.forms import Form
from segue.disk.processes import marked
from segue.run.generation import EVIDENCE_LINES, gate_script, place_gate, tail
from segue.run.stacks import app_frames
from segue.run.start import generation_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segue.deploy.run import Run

# in the environment of all that one task starts: by the generation's own mark, `segue scale`, which imports
# the live release, would end what serves
MARK = "SEGUE_TASK_FOLDER"
# a part prints the stack of what hangs at its own timeout; this is for it to do so
GRACE = 3.0


@dataclass(frozen=True)
class Ended:
    """How a task ended.

    Attributes:
        status: its exit status; None where it did not end in its time.
        found: what it wrote down; None where that is nothing, or makes no sense.
        printed: the end of what it printed.
    """

    status: int | None
    found: dict[str, Any] | None
    printed: str

    @property
    def how(self) -> str:
        """Its status in words."""
        if self.status is None:
            return "by running out of time"
        signalled = self.status < 0
        return f"by {signal.Signals(-self.status).name}" if signalled else f"with status {self.status}"


async def run_part(
    run: Run, part: str, *words: str, limit: float, form: Form, writes: Path | None = None
) -> Ended:
    """Run `part` of the gate for the release of `run`, with `words` after the module of the app.

    Args:
        run: the deploy.
        part: its name, as the gate's own start knows it.
        words: its further arguments.
        limit: the seconds that it has.
        form: what it writes down; the app's own user does, so it may say anything.
        writes: a folder of the release's that it may write to; see `Tasks.of_app`.
    """
    tasks, generation = run.site.tasks, run.plan.generation
    with tasks.folder() as folder:
        await in_thread(place_gate, folder)
        python = str(run.site.releases.python(run.plan.release))
        told = (part, str(folder / "result.json"), str(limit), str(tasks.parent), run.module, *words)
        argv = (python, str(gate_script(folder)), *told)
        status = await run_task(run, argv, folder, generation=generation, limit=limit + GRACE, writes=writes)
        printed = app_frames(tail(folder / "log", EVIDENCE_LINES))
        return Ended(status, read_if_whole(folder / "result.json", form), printed)


async def run_task(
    run: Run,
    argv: tuple[str, ...],
    folder: Path,
    *,
    generation: str,
    limit: float,
    told: Mapping[str, str] = MappingProxyType({}),
    writes: Path | None = None,
) -> int | None:
    """Run `argv` in a release as the app's user, with its log in `folder`; its status, or None for late.

    Args:
        run: the deploy that it belongs to.
        argv: its words.
        folder: the task's own.
        generation: whose release and environment it has.
        limit: the seconds that it has.
        told: what its environment has besides; no secrets.
        writes: a folder of the release's that it may write to; see `Tasks.of_app`.
    """
    release = run.site.home.release(release_of(generation))
    env = generation_environment(
        run.site.environ,
        project=run.site.home.project,
        release=release,
        python=run.site.releases.python(release_of(generation)),
        folder=run.site.home.generation(generation),
    )
    env = {**env, **told, MARK: str(folder)}
    with (folder / "log").open("wb") as output:
        async with run.site.tasks.of_app(
            *argv, cwd=release, env=env, folder=folder, output=output, writes=writes
        ) as process:
            try:
                async with asyncio.timeout(limit):
                    return await process.wait()
            except TimeoutError:
                return None
            finally:
                _end_all(folder)


def _end_all(folder: Path) -> None:
    """End what the task in `folder` started and left behind, in whatever session."""
    for process in marked(MARK, str(folder)):
        process.signal(signal.SIGKILL)
