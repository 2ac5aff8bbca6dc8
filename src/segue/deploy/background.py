"""The app's other processes: those of the live generation run, and nobody else's.

The order is what keeps work safe: one that must never run twice ends before the next one starts; of all
others the new one has proved itself before the old one gets the word to leave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from segue.config.schema import Process
from segue.core.errors import Failed
from segue.core.record import Record
from segue.deploy.run import Site
from segue.deploy.seams import Background, Key


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


def plan_shift(live: str | None, wanted: Mapping[str, Process], running: Iterable[Key]) -> Shift:
    """What makes `wanted` of `live` run and nothing else, where `running` runs. Pure."""
    goal = {} if live is None else {(live, name): process for name, process in wanted.items()}
    left_over = [key for key in running if key not in goal]
    single = {name for name, process in wanted.items() if process.single}
    return Shift(
        first=tuple(key for key in left_over if key[1] in single),
        start=tuple((key, process) for key, process in goal.items() if key not in running),
        last=tuple(key for key in left_over if key[1] not in single),
    )


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


async def shift(site: Site, record: Record, *, demanding: bool = False) -> Shifted:
    """Have the processes of the live generation run, and those of others finish and leave.

    Args:
        site: the app's.
        record: who is live.
        demanding: whether a required process that does not stay up is a failure.

    Raises:
        Failed: it is; those that can run beside a new one were not told to leave.
    """
    done, background = Shifted(), site.background
    if background is None:
        return done
    wanted = {} if record.live is None else site.generation(record.live).processes()
    todo = plan_shift(record.live, wanted, background.running())
    done.cut += await _stop(background, todo.first)
    done.started = [key for key, _ in todo.start]
    outcomes = await asyncio.gather(*(_start(background, key, process) for key, process in todo.start))
    done.failed = [failed for failed in outcomes if failed is not None]
    for process, failure in done.failed:
        if demanding and process.required:
            raise failure
    done.cut += await _stop(background, todo.last)
    return done


async def _start(background: Background, key: Key, process: Process) -> tuple[Process, Failed] | None:
    try:
        await background.start(key, process)
    except Failed as failure:
        return process, failure
    return None


async def _stop(background: Background, keys: Iterable[Key]) -> list[Key]:
    keys = tuple(keys)
    in_time = await asyncio.gather(*(background.stop(key) for key in keys))
    return [key for key, finished in zip(keys, in_time, strict=True) if not finished]
