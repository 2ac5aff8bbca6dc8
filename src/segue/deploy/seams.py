"""The seams between a deploy and the machine: tiny protocols, each with a real and an in-memory form."""

from __future__ import annotations

from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import IO, Protocol

from segue.config.schema import Process as BackgroundProcess
from segue.core.address import Address
from segue.deploy.converge import Observed
from segue.proof.verdict import Tally

Started = AbstractAsyncContextManager[Process]
# a generation, and the name of one of its processes beside those that serve
Key = tuple[str, str]


class Processes(Protocol):
    """The app server's processes, by generation."""

    def observe(self) -> Observed:
        """How every generation that has processes stands."""

    async def spawn(self, generation: str) -> None:
        """Start its processes, unless it has some; it holds, unless it was told to go before."""

    async def first_ready(self, generation: str) -> None:
        """Wait until one of its workers is ready.

        Raises:
            Failed: it will not be: it exited, its check failed, or its time is up.
        """

    async def all_ready(self, generation: str) -> None:
        """Wait until all its workers are ready.

        Raises:
            Failed: they will not be.
        """

    def go(self, generation: str) -> None:
        """Let its workers accept, now and after any respawn."""

    def workers(self, generation: str) -> int:
        """How many of its workers are ready."""

    async def scale(self, generation: str, workers: int) -> int:
        """Give it, which serves, so many workers, now and after any respawn; how many were cut.

        Raises:
            Refused: its server can't change their number while it runs.
            Failed: they would not boot, and it has as many as before.
        """

    async def finish_scaling(self, generation: str) -> None:
        """Bring a change of its number of workers to rest, whose executor died in the middle of it."""

    async def drain(self, generation: str) -> None:
        """Let it finish what it holds and leave; at its deadline it is ended."""

    async def discard(self, generation: str) -> None:
        """End it: it never accepted anything."""


class Front(Protocol):
    """The proxy before the app: it knows one place, and leads it to one generation."""

    def address(self, generation: str) -> Address:
        """Where `generation` listens."""

    def routed(self) -> str | None:
        """The generation that new requests go to; None where they go nowhere."""

    def route(self, generation: str) -> None:
        """Have new requests go to `generation`, from one instant to the next."""

    async def deserted(self, generation: str, limit: float) -> bool:
        """Wait until nobody is connected to `generation`, for `limit` seconds at most; whether that came."""

    def served(self, generation: str) -> Tally:
        """What users got from `generation`, as the front saw it, since this deploy began."""

    async def healthy(self, generation: str) -> None:
        """Ask `generation` for its check where the front will reach it.

        Raises:
            Failed: it does not answer as it should.
        """


class Background(Protocol):
    """The app's processes beside those that serve."""

    def running(self) -> dict[Key, bool]:
        """All that run, or are about to run again, and whether they were told to leave."""

    async def start(self, key: Key, process: BackgroundProcess) -> None:
        """Start `process` as `key`, and see that it stays up for its time.

        Raises:
            Failed: it does not. Where it could be started at all it is, again and again, until told to stop.
        """

    async def stop(self, key: Key, *, wait: bool) -> bool:
        """Let it finish what it holds and leave; whether it did in its time, as far as we `wait` to see."""


class Tasks(Protocol):
    """What a deploy runs beside the app's processes, each as the user that it is to be."""

    parent: int
    """The process whose end is the end of every task, as the task sees it."""

    @property
    def hidden(self) -> tuple[str, ...] | None:
        """The folders that the app's processes do not see; None where they run as we do."""

    def building(self, *argv: str, env: Mapping[str, str]) -> Started:
        """`argv` with pipes, as who builds; whichever way the block is left, all that it started is gone."""

    def of_app(
        self,
        *argv: str,
        cwd: Path,
        env: Mapping[str, str],
        folder: Path,
        output: IO[bytes],
        writes: Path | None = None,
    ) -> Started:
        """`argv` as the app's user, where the app's own processes run, with `folder` to write to.

        And to `writes`, which is who builds' and open to their group.
        """

    def folder(self) -> AbstractContextManager[Path]:
        """A folder for one task of the app's to write to."""


class Clock(Protocol):
    """Time, so that tests can jump it."""

    def now(self) -> float:
        """Seconds since the epoch: for names and people, never for measuring."""

    def monotonic(self) -> float:
        """Seconds since whenever: for measuring and deadlines."""

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
