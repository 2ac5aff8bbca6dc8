"""The seams between a deploy and the machine: tiny protocols, each with a real and an in-memory form."""

from __future__ import annotations

from typing import Protocol

from segue.deploy.converge import Observed


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


class Clock(Protocol):
    """Time, so that tests can jump it."""

    def now(self) -> float:
        """Seconds since the epoch: for names and people, never for measuring."""

    def monotonic(self) -> float:
        """Seconds since whenever: for measuring and deadlines."""

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
