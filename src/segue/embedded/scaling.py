"""Changes how many workers a master has while it serves.

Known of the servers whose masters take the signal TTIN (read in Gunicorn 27.0.1 and Uvicorn 0.54.0):

- It makes one worker more. Of two that meet on their way one is lost: each waits until its worker is there.
- A worker that can't boot ends the master; one that dies otherwise is replaced at once.
- TTOU takes Gunicorn's *oldest* worker: where a new one hangs in its boot, a good one would leave instead. So
  a worker that has to leave is named to the gate, in ``surplus.PID``: its master does not replace it.

Up, the change is committed when all workers are ready; down, at once, because nothing can fail any more, and
it goes on whatever happens. Until it rests, ``scaling.json`` in the generation's folder says how far it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from segue.core.errors import Failed, Refused, SegueError
from segue.disk.atomic import read_if_whole, write_json
from segue.disk.forms import Form
from segue.disk.processes import ProcessId, children_of
from segue.disk.signals import catches
from segue.run.generation import Generation
from segue.run.trouble import unborn

POLL = 0.03
SIGNAL_TIMEOUT = 10.0
SETTLE_TIMEOUT = 5.0
STACK_GRACE = 1.0
KILL_AFTER_DRAIN = 3.0

_PROCESS: Form = {"pid": int, "started": int}
_CHANGE: Form = {"was": int, "goal": int, "master": _PROCESS, "children": [_PROCESS], "leaving": [_PROCESS]}


@dataclass(frozen=True)
class Change:
    """A change under way.

    Attributes:
        was: how many workers there were.
        goal: how many there are to be.
        master: whose they are.
        children: the children that it had before, among them what the server keeps besides workers.
        leaving: the workers that have to leave.
    """

    was: int
    goal: int
    master: ProcessId
    children: tuple[ProcessId, ...]
    leaving: tuple[ProcessId, ...] = ()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Change:
        """The change that `data`, from `dataclasses.asdict`, describes."""
        lists = {key: tuple(ProcessId(**one) for one in data[key]) for key in ("children", "leaving")}
        return cls(**{**data, **lists, "master": ProcessId(**data["master"])})


@dataclass
class Scaling:
    """Changes the number of workers of one generation that serves.

    Attributes:
        generation: that generation.
        replace_master: puts another master in the place of one that ends.
    """

    generation: Generation
    replace_master: Callable[[ProcessId], Awaitable[None]]
    _added: int = 0

    async def bring(self, goal: int) -> int:
        """Give it `goal` workers; how many were cut because they did not leave in time.

        Raises:
            Refused: its server can't do that.
            Failed: the new workers would not boot; it has as many as before.
        """
        change = await self._begin(goal)
        write_json(self._file, asdict(change))
        try:
            return await (self._up(change) if goal > change.was else self._down(change))
        finally:
            self._file.unlink(missing_ok=True)

    async def finish(self) -> None:
        """Bring to rest what an executor that died left: back before its commit, forward after it."""
        document = read_if_whole(self._file, _CHANGE)
        if document is None:
            return
        change = Change.from_dict(document)
        if self._still(change.master):
            if change.leaving:
                await self._leave(change)
            elif self.generation.workers() != change.goal:
                await self._go_back(change)
        self._file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return self.generation.folder / "scaling.json"

    def _still(self, master: ProcessId) -> bool:
        return master.alive() and self.generation.master() == master

    async def _begin(self, goal: int) -> Change:
        was, master = await self._settled(), self.generation.master()
        if master is None or not master.alive():
            raise Refused(
                "no_live",
                f"{self.generation.name} is not running just now.",
                evidence=self.generation.log_tail(),
                hint="`segue status` says when it is back",
            )
        if not catches(master.pid, signal.SIGTTIN):
            raise Refused(
                "unscalable",
                f"The server of {self.generation.name} can't change the number of its workers while it runs.",
                evidence=f"its master, pid {master.pid}, does not know the signal TTIN",
                hint="set workers in segue.toml, then `segue restart`",
            )
        return Change(was, goal, master, tuple(children_of(master)))

    async def _settled(self) -> int:
        """How many workers it has: what it was told, unless somebody else changed that behind our back."""
        told = self.generation.workers()
        if await _until(lambda: len(self.generation.ready_workers()) == told, SETTLE_TIMEOUT):
            return told
        return len(self.generation.ready_workers())

    # more

    async def _up(self, change: Change) -> int:
        try:
            await self._add(change)
            self.generation.set_workers(change.goal)
        except BaseException:
            await asyncio.shield(self._go_back(change))
            raise
        return 0

    async def _add(self, change: Change) -> None:
        for _ in range(change.goal - change.was):
            await self._add_one(change.master)
        await self._all_ready(change)

    async def _add_one(self, master: ProcessId) -> None:
        before = children_of(master)
        master.signal(signal.SIGTTIN)
        self._added += 1
        await _until(lambda: children_of(master) - before, SIGNAL_TIMEOUT)

    async def _all_ready(self, change: Change) -> None:
        deadline = _now() + self.generation.start()["ready_timeout"] + STACK_GRACE
        while len(self.generation.ready_workers()) != change.goal:
            if await self._ends(change):
                raise self._failed("A new worker could not boot.", unborn(self.generation))
            if _now() > deadline:
                raise self._failed("The new workers were not ready in time.", self.generation.log_tail())
            await asyncio.sleep(POLL)

    def _failed(self, message: str, evidence: str) -> Failed:
        return Failed(
            "scale",
            message,
            evidence=evidence,
            hint=f"there are as many workers as before; the whole log: {self.generation.whole_log}",
        )

    async def _go_back(self, change: Change) -> None:
        """Take the new workers away, those first that are not ready; a master that ends is replaced."""
        if await self._ends(change):
            # where that one does not boot either, it is the supervisor's to try again
            with contextlib.suppress(SegueError):
                await self.replace_master(change.master)
            return
        ready = self.generation.ready_workers()
        children = children_of(change.master)
        new = sorted(children.difference(change.children), key=lambda one: (one.pid in ready, -one.started))
        await self._dismiss(new[: max(0, len(children) - len(change.children))])

    async def _ends(self, change: Change) -> bool:
        """Whether the master is ending, or has: it replaces no worker that died, and has the others leave."""

        def complete() -> bool:
            return len(children_of(change.master)) >= len(change.children) + self._added

        def known() -> bool:
            fewer = len(self.generation.ready_workers()) < change.was
            return complete() or fewer or not self._still(change.master)

        await _until(known, SIGNAL_TIMEOUT)
        return not complete()

    # fewer

    async def _down(self, change: Change) -> int:
        ready = self.generation.ready_workers()
        workers = sorted(children_of(change.master), key=lambda one: (one.started, one.pid))
        oldest = tuple(one for one in workers if one.pid in ready)[: change.was - change.goal]
        change = replace(change, leaving=oldest)
        write_json(self._file, asdict(change))
        leaving = asyncio.create_task(self._leave(change))
        try:
            return await asyncio.shield(leaving)
        except asyncio.CancelledError:
            return await leaving

    async def _leave(self, change: Change) -> int:
        self.generation.set_workers(change.goal)
        cut = await self._dismiss(change.leaving)
        # one that died meanwhile, or their master, is being replaced
        timeout = self.generation.start()["ready_timeout"]
        await _until(lambda: len(self.generation.ready_workers()) == change.goal, timeout)
        return cut

    async def _dismiss(self, workers: Sequence[ProcessId]) -> int:
        """Have `workers` leave for good; how many were cut because they did not in time."""
        alive = [worker for worker in workers if worker.alive()]
        for worker in alive:
            self.generation.tell(f"surplus.{worker.pid}")
        for worker in alive:
            # one that is not ready holds nothing, and may not hear a word
            ready = worker.pid in self.generation.ready_workers()
            worker.signal(signal.SIGTERM if ready else signal.SIGKILL)
        limit = self.generation.start()["drain_timeout"] + KILL_AFTER_DRAIN
        await _until(lambda: not any(worker.alive() for worker in workers), limit)
        late = [worker for worker in workers if worker.signal(signal.SIGKILL)]
        await _until(lambda: not self.generation.surplus(), SIGNAL_TIMEOUT)
        return len(late)


async def _until(condition: Callable[[], Any], limit: float) -> Any:
    """Wait until `condition` holds, at most `limit` seconds; what it was at the end."""
    deadline = _now() + limit
    while not (value := condition()) and _now() < deadline:
        await asyncio.sleep(POLL)
    return value


def _now() -> float:
    return asyncio.get_running_loop().time()
