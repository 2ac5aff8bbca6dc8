"""Which request leaves when: fixed before the first one does, whatever the answers do."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, cycle
from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segue.proof.spec import ProbeSpec, Shot


@dataclass(frozen=True, slots=True)
class Planned:
    """One request to come.

    Attributes:
        number: counts from 0.
        at: seconds after the start.
        shot: the kind of request.
        keep_alive: whether it goes over a connection that is kept alive.
    """

    number: int
    at: float
    shot: Shot
    keep_alive: bool


def plan_requests(spec: ProbeSpec) -> Iterator[Planned]:
    """All requests of a probe, without end."""
    # A cycle for each side: with a common one, two shots at a share of a half would never change sides.
    turns = {True: cycle(spec.shots), False: cycle(spec.shots)}
    for number in count():
        keep_alive = floor((number + 1) * spec.keep_alive) > floor(number * spec.keep_alive)
        yield Planned(number, number / spec.rate, next(turns[keep_alive]), keep_alive)
