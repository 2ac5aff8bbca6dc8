"""The app's other processes: those of the live generation run, and nobody else's.

The order is what keeps work safe: one that must never run twice ends before the next one starts; of all
others the new one has proved itself before the old one gets the word to leave.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from segue.config.schema import Process
from segue.core.errors import Failed, Stranded
from segue.core.record import Record
from segue.deploy.run import Site
from segue.deploy.seams import Background, Key
from segue.run.generation import Generation, damaged


@dataclass(frozen=True)
class Shift:
    """What has to be done, in this order.

    Attributes:
        first: those that leave before anything starts.
        start: those that start, with how they are run.
        last: those that leave once the new ones stay up.
    """

    first: tuple[Key, ...] = ()
    start: tuple[tuple[Key, Process], ...] = ()
    last: tuple[Key, ...] = ()


def processes_of(generation: Generation) -> dict[str, Process]:
    """What `generation` runs beside the processes that serve, by name.

    Raises:
        Stranded: nobody knows.
    """
    found = generation.start().get("processes", {})
    try:
        return {name: Process.model_validate(words) for name, words in found.items()}
    except ValueError as error:
        raise damaged(generation.folder / "start.json", str(error)) from error


def plan_shift(
    live: str | None,
    wanted: Mapping[str, Process],
    running: Mapping[Key, bool],
    alone: Container[Key] = (),
) -> Shift:
    """What makes `wanted` of `live` run and nothing else. Pure.

    Args:
        live: the live generation.
        wanted: what it runs.
        running: what runs, and whether that is leaving already.
        alone: those of them that must not run beside another, as their own generation says.
    """
    goal = {} if live is None else {(live, name): process for name, process in wanted.items()}
    single = {name for name, process in wanted.items() if process.single}
    left_over = [key for key in running if key not in goal]
    first = tuple(key for key in left_over if key[1] in single or key in alone)
    return Shift(
        first=first,
        start=tuple((key, process) for key, process in goal.items() if running.get(key, True)),
        last=tuple(key for key in left_over if key not in first and not running[key]),
    )


def to_do(site: Site, record: Record) -> Shift:
    """What makes the processes of the live generation run and nobody else's, as things stand."""
    if site.background is None:
        return Shift()
    running = site.background.running()
    wanted = {} if record.live is None else processes_of(site.generation(record.live))
    return plan_shift(record.live, wanted, running, {key for key in running if _runs_alone(site, key)})


def _runs_alone(site: Site, key: Key) -> bool:
    generation, name = key
    with contextlib.suppress(Stranded):
        process = processes_of(site.generation(generation)).get(name)
        return process is not None and process.single
    return False


@dataclass
class Shifted:
    """What was done.

    Attributes:
        started: those that were started.
        failed: those of them that did not stay up, and how they ended.
        cut: those that did not finish in time, and were ended.
    """

    started: list[Key] = field(default_factory=list)
    failed: list[tuple[Process, Failed]] = field(default_factory=list)
    cut: list[Key] = field(default_factory=list)

    @property
    def lacking(self) -> Failed | None:
        """How the first one that is required failed."""
        return next((failure for process, failure in self.failed if process.required), None)

    def notes(self) -> list[str]:
        """What people should know of it."""
        failed = (f"{failure.message} Its last words: {_last_line(failure)}" for _, failure in self.failed)
        cut = (
            f"{name} of {generation} did not finish in its time, and was ended"
            for generation, name in self.cut
        )
        return [*failed, *cut]


def _last_line(failure: Failed) -> str:
    return failure.evidence.splitlines()[-1] if failure.evidence else "none"


async def shift(site: Site, record: Record, *, demanding: bool = False, patient: bool = False) -> Shifted:
    """Have the processes of the live generation run, and those of others finish and leave.

    Args:
        site: the app's.
        record: who is live.
        demanding: whether a required process that does not stay up ends it: those that can run beside a new
            one are not told to leave then.
        patient: whether to wait for the end of those that leave.
    """
    done, background = Shifted(), site.background
    if background is None:
        return done
    todo = to_do(site, record)
    done.cut += await _stop(background, todo.first, wait=True)
    done.started = [key for key, _ in todo.start]
    outcomes = await asyncio.gather(*(_start(background, key, process) for key, process in todo.start))
    done.failed = [failed for failed in outcomes if failed is not None]
    if not (demanding and done.lacking):
        done.cut += await _stop(background, todo.last, wait=patient)
    return done


async def _start(background: Background, key: Key, process: Process) -> tuple[Process, Failed] | None:
    try:
        await background.start(key, process)
    except Failed as failure:
        return process, failure
    return None


async def _stop(background: Background, keys: Sequence[Key], *, wait: bool) -> list[Key]:
    in_time = await asyncio.gather(*(background.stop(key, wait=wait) for key in keys))
    return [key for key, finished in zip(keys, in_time, strict=True) if not finished]
