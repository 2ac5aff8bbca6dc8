"""A row of the table: what one peer's course said, and its cells. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from segue.proof.report import SPOILT_LAG_MS

MILLION = 1_000_000


@dataclass(frozen=True)
class Side:
    """The traffic of one half of a round.

    Attributes:
        sent: requests with an outcome.
        lost: those that failed.
        slowest_ms: of those that succeeded; None where none did.
        gap_ms: the longest time without a success.
        lag_ms: how late the probe itself was.
    """

    sent: int
    lost: int
    slowest_ms: float | None
    gap_ms: float
    lag_ms: float


@dataclass(frozen=True)
class Round:
    """One deploy, and a quiet time before it.

    Attributes:
        seconds: from the command to the first answer of the new release; None where none came.
        memory: the most during the deploy, to that at rest.
    """

    quiet: Side
    deploy: Side
    seconds: float | None
    memory: float

    @property
    def spoilt(self) -> bool:
        """Whether the probe was held up, so that its waits say nothing."""
        return max(self.quiet.lag_ms, self.deploy.lag_ms) > SPOILT_LAG_MS

    @property
    def slowest(self) -> float | None:
        """The slowest request, as a multiple of the quiet time's; None where nobody was answered."""
        slow, quiet = self.deploy.slowest_ms, self.quiet.slowest_ms
        return slow / quiet if slow and quiet else None

    @property
    def gap(self) -> float:
        """The longest gap, as a multiple of the quiet time's."""
        return self.deploy.gap_ms / self.quiet.gap_ms


@dataclass(frozen=True)
class Bad:
    """What became of a bad release.

    Attributes:
        answering: the versions that new connections met in the end; None is in it where some met nobody.
        version: the bad one.
    """

    sent: int
    lost: int
    answering: frozenset[str | None]
    version: str

    @property
    def fate(self) -> str:
        """In a few words."""
        if self.answering == {None}:
            return "**down**"
        if self.version in self.answering:
            return "**live**"
        return "half down" if None in self.answering else "the old one serves"


@dataclass(frozen=True)
class Races:
    """How the races ended.

    Attributes:
        late: whether a racer started too late to tell.
        trouble: why there were none: nobody was told to leave, or a connection could not be made ready.
    """

    run: int
    lost: int
    late: bool
    trouble: str = ""


@dataclass(frozen=True)
class Row:
    """What the course said of one peer.

    Attributes:
        no_import: the release that can't be imported.
        unhealthy: the one that answers 500 to its check.
    """

    name: str
    rounds: tuple[Round, ...]
    no_import: Bad
    unhealthy: Bad
    races: Races

    @property
    def sent(self) -> int:
        """Requests through good deploys."""
        return sum(each.deploy.sent for each in self.rounds)

    @property
    def lost(self) -> int:
        """Those that failed, in spoilt rounds as well: a lost request is a lost request."""
        return sum(each.deploy.lost for each in self.rounds)

    @property
    def lost_in_quiet(self) -> int:
        """Requests that failed though nothing was deployed: the server's, or the machine's, own losses."""
        return sum(each.quiet.lost for each in self.rounds)

    @property
    def per_million(self) -> float:
        """Lost per million of requests through deploys."""
        return self.lost / self.sent * MILLION

    @property
    def starved(self) -> bool:
        """Whether fewer than two rounds could be measured in time."""
        return len(self._sound) < 2  # noqa: PLR2004 - no median of one

    @property
    def _sound(self) -> Sequence[Round]:
        """The rounds whose waits say something; all, where none do."""
        return [each for each in self.rounds if not each.spoilt]

    def median(self, what: Callable[[Round], float | None]) -> float | None:
        """The median of `what` over the rounds that were not spoilt; None where one had none."""
        found = [what(each) for each in self._sound or self.rounds]
        known = [value for value in found if value is not None]
        return statistics.median(known) if known and len(known) == len(found) else None
