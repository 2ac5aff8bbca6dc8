"""Constant-rate traffic that loses nothing from sight.

Open loop: a request leaves at its planned time whatever the answers do, its latency counts from that time,
and nothing is retried.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any

from segue.proof.connection import Pool, RequestError
from segue.proof.failures import detail_of, kind_of
from segue.proof.report import Tally
from segue.proof.schedule import plan_requests
from segue.proof.target import parse_target
from segue.proof.timeline import Timeline

if TYPE_CHECKING:
    from segue.proof.connection import Answer, Connection
    from segue.proof.report import Report
    from segue.proof.schedule import Planned
    from segue.proof.spec import ProbeSpec


class Probe:
    """Sends what `spec` says, once.

    Attributes:
        has_outcome: set when the first request has been answered or lost.

    Raises:
        UsageError: the spec's URL can't be probed.
    """

    def __init__(self, spec: ProbeSpec) -> None:
        self._spec = spec
        self._target = parse_target(spec.url, spec.connect)
        self._pool = Pool(self._target, insecure=spec.insecure)
        self._timeline = Timeline() if spec.timeline else None
        self._tally = Tally(spec.url, spec.rate, self._timeline)
        self._stopped = asyncio.Event()
        self._start = 0.0
        self._duration: float | None = None
        self.has_outcome = asyncio.Event()

    async def run(self, duration: float = math.inf) -> Report:
        """Send requests for `duration` seconds or until `stop`, then await those in flight."""
        self._start = time.monotonic()
        if self._timeline is not None:
            self._timeline.zero = self._start - self._spec.zero
        try:
            async with asyncio.TaskGroup() as requests:
                await self._start_all(requests, duration)
        finally:
            self._pool.close()
        return self.report()

    def stop(self) -> None:
        """Send no further request."""
        self._stopped.set()

    def elapsed(self) -> float:
        """Seconds since `run` began."""
        return time.monotonic() - self._start

    def report(self) -> Report:
        """The numbers until now."""
        return self._tally.report(self.elapsed() if self._duration is None else self._duration)

    def timeline(self) -> dict[str, Any] | None:
        """Its requests one by one, where the spec asks for them."""
        return None if self._timeline is None else self._timeline.as_dict()

    async def _start_all(self, requests: asyncio.TaskGroup, duration: float) -> None:
        for planned in plan_requests(self._spec):
            if planned.at >= duration or not await self._reach(planned.at):
                break
            requests.create_task(self._send(planned))
        await self._reach(duration)
        self._duration = self.elapsed()

    async def _reach(self, at: float) -> bool:
        """Wait until `at`; whether nobody said stop before."""
        try:
            async with asyncio.timeout_at(self._start + at):
                await self._stopped.wait()
        except TimeoutError:
            return True
        return False

    async def _send(self, planned: Planned) -> None:
        self._tally.start(late=self.elapsed() - planned.at)
        shot = f"{planned.shot.method} {planned.shot.path_of(planned.number, self._target)}"
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._spec.timeout):
                connection = await self._connection(planned)
                answer = await self._ask(connection, planned)
        except (RequestError, OSError) as error:
            detail = detail_of(error) or f"no full answer within {self._spec.timeout:g} s"
            now, idle = self.elapsed(), connection.idled if connection else None
            self._tally.fail(kind_of(error), detail, planned=planned.at, now=now, shot=shot, idle=idle)
        else:
            self._tally.answer(answer, planned=planned.at, now=self.elapsed(), shot=shot)
        self.has_outcome.set()

    async def _ask(self, connection: Connection, planned: Planned) -> Answer:
        head, pieces = planned.shot.request(planned.number, self._target, keep_alive=planned.keep_alive)
        try:
            return await connection.exchange(head, pieces, planned.shot.pause)
        finally:
            self._pool.give_back(connection)

    async def _connection(self, planned: Planned) -> Connection:
        if planned.keep_alive and (idle := self._pool.take_idle()):
            self._tally.reuse()
            return idle
        return await self._pool.open()
