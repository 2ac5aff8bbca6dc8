"""Converge: the actions that make the machine match the record. Pure, and the only way to rest.

The rules that keep requests safe are the order of the actions: what should serve is started and let go
first, then new requests are routed to it, and only then does anything leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from segue.core.record import BOTH_SERVE, HOLDING, Record


class Standing(StrEnum):
    """What a generation's processes are doing. A generation without processes has no standing."""

    HELD = "held"
    SERVING = "serving"
    LEAVING = "leaving"


@dataclass(frozen=True)
class Start:
    """Start its processes and wait until every worker is ready."""

    generation: str


@dataclass(frozen=True)
class Go:
    """Let its workers accept."""

    generation: str


@dataclass(frozen=True)
class Route:
    """Have the front send new requests to it."""

    generation: str


@dataclass(frozen=True)
class Drain:
    """It serves: stop accepting, finish what it holds, leave."""

    generation: str


@dataclass(frozen=True)
class Discard:
    """It never accepted anything: take it away."""

    generation: str


Action = Start | Go | Route | Drain | Discard
Observed = Mapping[str, Standing]


def wanted(record: Record) -> dict[str, Standing]:
    """How each generation should stand, the live one first."""
    goal: dict[str, Standing] = {}
    if record.live is not None:
        goal[record.live] = Standing.SERVING
    if record.standby is not None:
        goal[record.standby] = Standing.SERVING
    if record.candidate is not None and record.phase in HOLDING:
        goal.setdefault(record.candidate, Standing.HELD)
    if record.candidate is not None and record.phase in BOTH_SERVE:
        goal[record.candidate] = Standing.SERVING
    return goal


def wanted_route(record: Record) -> str | None:
    """Whom a front should send new requests to; None where nobody serves."""
    return record.candidate if record.phase in BOTH_SERVE else record.live


@dataclass(frozen=True)
class Routed:
    """Whom the front before the app sends new requests to."""

    generation: str | None


def converge(record: Record, observed: Observed, routed: Routed | None = None) -> tuple[Action, ...]:
    """The actions, in order, after which `observed` and `routed` match `record`; none when they do.

    Args:
        record: how things should be.
        observed: how every generation that has processes stands.
        routed: where the front leads; None without a front, where all who serve are reached.
    """
    goal, route = wanted(record), wanted_route(record)
    actions: list[Action] = []
    for generation, standing in goal.items():
        actions += _bring(generation, standing, observed.get(generation))
    if routed is not None and route is not None and routed.generation != route:
        actions.append(Route(route))
    for generation, standing in observed.items():
        if generation not in goal:
            actions.append(Discard(generation) if standing is Standing.HELD else Drain(generation))
    return tuple(actions)


def _bring(generation: str, goal: Standing, now: Standing | None) -> list[Action]:
    actions: list[Action] = []
    if now in (None, Standing.LEAVING):
        actions.append(Start(generation))
    if goal is Standing.SERVING and now is not Standing.SERVING:
        actions.append(Go(generation))
    return actions
