"""New workers beside the old ones, then the old ones leave: by Gunicorn's own TTIN and TTOU.

Gunicorn keeps no count of signals, so each is seen to have been taken before the next one is sent. TTOU ends
the oldest worker, and one that is killed is replaced. So new ones that can't be ready stay, and the old ones
serve; the next roll, of code that boots, takes all of them away.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from segue.core.durations import format_duration
from segue.core.errors import Failed, Stranded
from segue.disk.processes import ProcessId
from segue.reload.listening import accepts
from segue.reload.look import Service

POLL = 0.02
_SIGNAL_TIMEOUT = 15.0
_ENOUGH = 3  # looks in a row that find it accepting


@dataclass
class Roll:
    """The replacement of all workers.

    Attributes:
        service: as it was before.
        count: how many workers it is to have.
        ready_timeout: seconds that a new worker may take until it accepts.
        drain_timeout: seconds that an old one may take to finish what it holds; infinite: for ever.
        old: the workers to replace.
        added: how many more the master was told to have.
        cut: old ones that did not finish in time, and were ended.
    """

    service: Service
    count: int
    ready_timeout: float
    drain_timeout: float
    old: frozenset[ProcessId] = field(init=False)
    added: int = 0
    cut: int = 0
    _looks: dict[ProcessId, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.old = self.service.master.workers()

    def new(self) -> frozenset[ProcessId]:
        """The workers that were not there before."""
        return self.service.master.workers() - self.old

    async def run(self, at_once: int) -> None:
        """Replace all, `at_once` at a time.

        Raises:
            Failed: a new worker did not get ready; the old ones that it was to replace serve.
            Stranded: the master ended.
        """
        wanted = 0
        while wanted < self.count:
            batch = min(at_once, self.count - wanted)
            wanted += batch
            await self._grow(batch)
            await self._ready(wanted)
            await self._shrink(batch)
            if wanted < self.count:
                await self._gone(len(self.old) - wanted)
        await self._shrink_to_count()

    async def _grow(self, batch: int) -> None:
        for _ in range(batch):
            await self._tell_more()

    async def _tell_more(self) -> None:
        before = len(self.service.master.workers())
        self.service.master.tell(signal.SIGTTIN)
        self.added += 1
        started = "the master started no further worker"
        await self._until(lambda: len(self.service.master.workers()) > before, _SIGNAL_TIMEOUT, started)

    async def _ready(self, wanted: int) -> None:
        looks = self._looks

        def all_ready() -> bool:
            new = self.new()
            for worker in (*new, *self._surplus()):
                looks[worker] = looks.get(worker, 0) + accepts(worker.pid, self.service.listeners)
            return sum(looks[worker] >= _ENOUGH for worker in new) >= wanted

        late = f"a new worker did not accept within {format_duration(self.ready_timeout)}"
        await self._until(all_ready, self.ready_timeout, late)

    async def _shrink(self, batch: int) -> None:
        for _ in range(batch):
            await self._tell_less()

    async def _tell_less(self) -> None:
        master = self.service.master
        switches = master.switches()
        master.tell(signal.SIGTTOU)
        self.added -= 1
        await self._until(
            lambda: master.took(signal.SIGTTOU, switches), _SIGNAL_TIMEOUT, "the master does not take signals"
        )

    async def _shrink_to_count(self) -> None:
        # where somebody died amid this there were more than there should be
        await self._shrink(len(self.old) + self.added - self.count)
        for worker in self._surplus():
            if not self._looks.get(worker):  # it hangs in its import, where it hears no other signal
                worker.signal(signal.SIGKILL)
        await self._gone(0)
        await self._shrink(len(self.service.master.workers()) - self.count)
        await self._until(
            lambda: len(self.service.master.workers()) <= self.count,
            self.drain_timeout,
            "more workers than before",
        )

    def _surplus(self) -> list[ProcessId]:
        """Those of the old ones, the youngest, that an earlier roll left behind."""
        return sorted(self.old, key=lambda worker: worker.started)[self.count :]

    async def _gone(self, left: int) -> None:
        """Wait until at most `left` of the old workers are there; what takes too long is ended."""
        deadline = time.monotonic() + self.drain_timeout
        while len(remaining := self.old & self.service.master.workers()) > left:
            self.demand_alive()
            if time.monotonic() > deadline:
                slow = sorted(remaining, key=lambda worker: worker.started)[: len(remaining) - left]
                self.cut += sum(worker.signal(signal.SIGKILL) for worker in slow)
                deadline = time.monotonic() + _SIGNAL_TIMEOUT
            await asyncio.sleep(POLL)

    async def _until(self, condition: Callable[[], bool], limit: float, otherwise: str) -> None:
        deadline = time.monotonic() + limit
        while not condition():
            self.demand_alive()
            if time.monotonic() > deadline:
                raise self._failure(otherwise)
            await asyncio.sleep(POLL)

    def _failure(self, why: str) -> Failed:
        unit = self.service.unit.name
        return Failed(
            "roll",
            f"The workers could not be replaced: {why}.",
            evidence=f"{len(self.new())} new workers, {len(self.service.master.workers())} in all",
            hint=f"`journalctl -u {unit}`; when it is mended, reload again: no worker too many is left then",
        )

    def demand_alive(self) -> None:
        """Demand that the master is there.

        Raises:
            Stranded: it is not.
        """
        if not self.service.master.process.alive():
            unit = self.service.unit.name
            raise Stranded(
                "master_ended",
                f"The master of {unit} ended while its workers were replaced.",
                evidence=f"pid {self.service.master.pid} is gone",
                hint=f"`systemctl status {unit}`, now; `journalctl -u {unit}` says why",
            )
