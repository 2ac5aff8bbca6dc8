"""The record: the small durable truth that a deploy moves forward and everything converges to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from segue.core.ids import is_generation_id


class Phase(StrEnum):
    """How far the deploy that is under way has come."""

    REST = "rest"
    BUILD = "build"
    STATIC = "static"
    IMPORT = "import"
    MIGRATE = "migrate"
    BOOT = "boot"
    READY = "ready"
    SWITCH = "switch"
    WATCH = "watch"
    DRAIN = "drain"


BEFORE_COMMIT = (
    Phase.BUILD,
    Phase.STATIC,
    Phase.IMPORT,
    Phase.MIGRATE,
    Phase.BOOT,
    Phase.READY,
    Phase.SWITCH,
    Phase.WATCH,
)
HOLDING = (Phase.BOOT, Phase.READY)
BOTH_SERVE = (Phase.SWITCH, Phase.WATCH)


@dataclass(frozen=True)
class Record:
    """Which generation is live, which was before, which one is being brought in, and how far.

    Attributes:
        live: the generation that serves; None before the first commit.
        previous: the generation that was live before it, whose release a rollback goes to.
        candidate: the generation of the deploy under way; set exactly before its commit.
        phase: the phase of that deploy; ``rest`` when there is none.
        standby: the previous generation, while it is kept warm; a rollback to it needs no boot.
    """

    live: str | None = None
    previous: str | None = None
    candidate: str | None = None
    phase: Phase = Phase.REST
    standby: str | None = None

    def __post_init__(self) -> None:
        if (self.candidate is not None) != (self.phase in BEFORE_COMMIT):
            raise ValueError(f"candidate {self.candidate} does not go with phase {self.phase.value}")
        if self.standby is not None and self.standby != self.previous:
            raise ValueError(f"standby {self.standby} is not the previous generation")
        if self.candidate is not None and self.candidate in ({self.live, self.previous} - {self.standby}):
            raise ValueError(f"candidate {self.candidate} is live or previous already")

    def begin(self, candidate: str) -> Record:
        """A deploy of `candidate` begins."""
        return replace(self, candidate=candidate, phase=Phase.BUILD)

    def at(self, phase: Phase) -> Record:
        """The deploy has come to `phase`."""
        return replace(self, phase=phase)

    def commit(self, *, standby: bool = False) -> Record:
        """The candidate is the live generation from here on; with `standby` the one before it stays warm."""
        if self.candidate is None:
            raise ValueError("nothing to commit")
        previous = self.live or self.previous
        warm = self.live if standby else None
        return Record(live=self.candidate, previous=previous, phase=Phase.DRAIN, standby=warm)

    def stand_down(self) -> Record:
        """Nothing is kept warm any more."""
        return replace(self, standby=None)

    def settle(self) -> Record:
        """Where an interrupted deploy comes to rest: before its commit it never was, after it is done."""
        return replace(self, candidate=None, phase=Phase.REST)

    def retire(self) -> Record:
        """Nothing serves any more, by the operator's wish; what served can be rolled back to."""
        return Record(previous=self.live or self.previous)

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON keeps it."""
        document = {
            "live": self.live,
            "previous": self.previous,
            "candidate": self.candidate,
            "phase": self.phase.value,
        }
        return document if self.standby is None else {**document, "standby": self.standby}

    @classmethod
    def from_dict(cls, data: Any) -> Record:
        """The record that `data` describes.

        Raises:
            ValueError: it describes none.
        """
        if not isinstance(data, dict) or set(data) - {"standby"} != {
            "live",
            "previous",
            "candidate",
            "phase",
        }:
            raise ValueError("a record has exactly the keys live, previous, candidate, phase")
        for key in ("live", "previous", "candidate", "standby"):
            name = data.get(key)
            if name is not None and not (isinstance(name, str) and is_generation_id(name)):
                raise ValueError(f"{key} is no generation's id")
        if data.get("standby", "") is None:
            raise ValueError("a standby that is none is left out")
        return cls(
            data["live"], data["previous"], data["candidate"], Phase(data["phase"]), data.get("standby")
        )
