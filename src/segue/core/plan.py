"""The plan: everything a deploy will do, named before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """One phase of a deploy.

    Attributes:
        name: the phase, such as ``build``.
        does: what it will do, for people.
    """

    name: str
    does: str


@dataclass(frozen=True)
class Plan:
    """A deploy as a value: it can be shown, compared, and then carried out.

    Attributes:
        verb: ``up``, ``deploy``, ``rollback`` or ``restart``.
        app: the app's name.
        target: where it runs.
        strategy: how new requests change sides.
        release: the release that is brought in.
        generation: the start of it that this deploy makes.
        previous: the generation that serves meanwhile; None when nothing does.
        steps: what is done, in order.
    """

    verb: str
    app: str
    target: str
    strategy: str
    release: str
    generation: str
    previous: str | None
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """The plan as ``--dry-run --json`` prints it."""
        return {
            "verb": self.verb,
            "app": self.app,
            "target": self.target,
            "strategy": self.strategy,
            "release": self.release,
            "generation": self.generation,
            "previous": self.previous,
            "steps": [{"name": step.name, "does": step.does} for step in self.steps],
        }
