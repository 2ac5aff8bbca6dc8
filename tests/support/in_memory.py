"""The in-memory forms of the seams, held equal to the real ones by the contract tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from segue.core.address import Address
from segue.core.errors import Failed
from segue.deploy.converge import Standing
from segue.proof.verdict import Tally


@dataclass
class Machine:
    """`Processes` without processes: what stands on a machine, and what its generations were told.

    Attributes:
        standing: how every generation that has processes stands; tests may put anything there.
        broken: generations whose workers never get ready.
        told_to_go: generations that were told to go once: they need not be told again.
        numbers: how many workers each generation has; two, unless it was scaled.
        most: how many workers can boot.
    """

    standing: dict[str, Standing] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    told_to_go: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    most: int = 1000

    @classmethod
    def with_standing(cls, standing: Mapping[str, Standing], broken: Iterable[str] = ()) -> Machine:
        """A machine on which things stand so."""
        told = {name for name, now in standing.items() if now is Standing.SERVING}
        return cls(dict(standing), set(broken), told)

    def observe(self) -> dict[str, Standing]:
        return dict(self.standing)

    async def spawn(self, generation: str) -> None:
        if self.standing.get(generation) in (None, Standing.LEAVING):
            ready = generation in self.told_to_go and generation not in self.broken
            self.standing[generation] = Standing.SERVING if ready else Standing.HELD

    async def first_ready(self, generation: str) -> None:
        await self.all_ready(generation)

    async def all_ready(self, generation: str) -> None:
        if generation in self.broken or generation not in self.standing:
            raise Failed("boot", f"{generation} exited before it was ready.")

    def go(self, generation: str) -> None:
        self.told_to_go.add(generation)
        if generation in self.standing and generation not in self.broken:
            self.standing[generation] = Standing.SERVING

    def workers(self, generation: str) -> int:
        return self.numbers.get(generation, 2) if generation in self.standing else 0

    async def scale(self, generation: str, workers: int) -> int:
        if workers > self.most:
            raise Failed("scale", "A new worker was not ready in time.")
        self.numbers[generation] = workers
        return 0

    async def finish_scaling(self, generation: str) -> None:
        """No executor dies in here."""

    async def drain(self, generation: str) -> None:
        self.standing.pop(generation, None)

    async def discard(self, generation: str) -> None:
        self.standing.pop(generation, None)

    def crash(self, generation: str) -> None:
        """Its processes end by themselves."""
        self.standing.pop(generation, None)

    def serving(self) -> set[str]:
        """The generations that take requests."""
        return {name for name, now in self.standing.items() if now is Standing.SERVING}


@dataclass
class Signpost:
    """`Front` without a proxy.

    Attributes:
        leads_to: the generation that new requests go to.
    """

    leads_to: str | None = None

    def address(self, generation: str) -> Address:
        return Address(path=f"/run/{generation}")

    def routed(self) -> str | None:
        return self.leads_to

    def route(self, generation: str) -> None:
        self.leads_to = generation

    async def deserted(self, generation: str, limit: float) -> bool:
        del generation, limit
        return True

    def served(self, generation: str) -> Tally:
        del generation
        return Tally(0, 0)

    async def healthy(self, generation: str) -> None:
        """Whoever stands is well."""


@dataclass
class JumpClock:
    """A clock on which sleeping takes no time."""

    epoch: float = 1_795_000_000.0
    elapsed: float = 0.0

    def now(self) -> float:
        return self.epoch + self.elapsed

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.elapsed += max(0.0, seconds)
