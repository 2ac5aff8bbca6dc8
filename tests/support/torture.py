"""The table of all that is done to segue on purpose: its rows, and what of it goes by lot."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support import deaths
from tests.support.site import Traffic

RATE = 50  # requests a second
SEED = int(os.environ.get("SEED", "20261121"))
HELD = "P1: what a killed worker held"
CUT = "a stop at once cuts what is held"


@dataclass
class Told:
    """One row of the table, as its test tells it.

    Attributes:
        server: whose app server it is.
        what: what happens.
        when: the phase of the deploy in which it does, or the second after its beginning.
        sent: how many requests were sent, the held ones included.
        lost: how many of them had no full answer.
        limit: which limit of a promise allows for that; empty where nothing was lost.
        rest: how all came to rest.
    """

    server: str
    what: str
    when: str
    sent: int = 0
    lost: int = 0
    limit: str = ""
    rest: str = ""

    def count(
        self, load: Traffic | None, held: Sequence[Future[str]] = (), allowed: int = 0, limit: str = ""
    ) -> None:
        """What became of all that was sent; `limit` allows for as many losses as `allowed`.

        Raises:
            AssertionError: more were lost than that.
        """
        nothing = {"sent": 0, "failed": 0, "samples": []}
        report: dict[str, Any] = nothing if load is None else load.report
        fates = [deaths.fate(request) for request in held]
        self.sent = report["sent"] + len(held)
        self.lost = report["failed"] + sum(fate != "slept" for fate in fates)
        assert self.lost <= allowed, f"{fates} {json.dumps(report['samples'], indent=1)}"
        self.limit = limit if self.lost else ""


Tell = Callable[..., Told]
TOLD = pytest.StashKey[Told]()


def rows(everything: Sequence[object], always: Sequence[object], number: int) -> list[Any]:
    """The rows as parameters.

    Tests run those in `always`, and `number` of the others by lot; the rest is for `make torture` alone.
    """
    others = [row for row in everything if row not in always]
    chosen = [*always, *random.Random(SEED).sample(others, number)]
    return [
        pytest.param(row, id=str(row), marks=() if row in chosen else pytest.mark.soak) for row in everything
    ]


def moments(number: int, longest: float) -> list[float]:
    """Instants by lot, in seconds."""
    seeded = random.Random(SEED)
    return [round(seeded.uniform(0, longest), 2) for _ in range(number)]
