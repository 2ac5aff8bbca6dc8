"""Converge: from every record and every observed state the machine comes to match, and keeps serving."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.in_memory import Machine, Signpost
from tests.support.records import GENERATIONS, observed_beside, records

from segue.core.errors import Failed
from segue.core.record import Phase, Record
from segue.deploy.apply import apply_record
from segue.deploy.converge import (
    Action,
    Discard,
    Drain,
    Go,
    Route,
    Routed,
    Standing,
    Start,
    converge,
    wanted,
    wanted_route,
)

OLD, NEW, STRANGER = GENERATIONS[:3]
Case = tuple[Record, dict[str, Standing]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    record = draw(records())
    return record, draw(observed_beside(record))


async def history(record: Record, machine: Machine) -> list[tuple[Action, dict[str, Standing]]]:
    """Each action that `record` asks for, and how things stood after it."""
    seen = []
    for action in converge(record, machine.observe()):
        match action:
            case Start(name):
                await machine.spawn(name)
            case Go(name):
                machine.go(name)
            case Drain(name):
                await machine.drain(name)
            case Discard(name):
                await machine.discard(name)
        seen.append((action, machine.observe()))
    return seen


@given(cases())
def test_the_actions_reach_what_is_wanted_and_nothing_else(case: Case) -> None:
    record, observed = case
    machine = Machine.with_standing(observed)
    asyncio.run(apply_record(record, machine))
    assert machine.observe() == wanted(record)


@given(cases())
def test_a_second_call_has_nothing_to_do(case: Case) -> None:
    record, observed = case
    machine = Machine.with_standing(observed)
    asyncio.run(apply_record(record, machine))
    assert converge(record, machine.observe()) == ()


@given(cases())
def test_a_call_that_died_half_way_is_finished_by_the_next(case: Case) -> None:
    record, observed = case
    for _, left_over in asyncio.run(history(record, Machine.with_standing(observed))):
        machine = Machine.with_standing(left_over)
        asyncio.run(apply_record(record, machine))
        assert machine.observe() == wanted(record)


@given(cases())
def test_nothing_leaves_before_the_live_generation_serves(case: Case) -> None:
    record, observed = case
    before = observed
    for action, after in asyncio.run(history(record, Machine.with_standing(observed))):
        if isinstance(action, Drain | Discard) and record.live is not None:
            assert before[record.live] is Standing.SERVING
        before = after


@given(cases())
def test_what_served_is_followed_by_something_that_serves_at_every_step(case: Case) -> None:
    record, observed = case
    served = Standing.SERVING in observed.values()
    for _, standing in asyncio.run(history(record, Machine.with_standing(observed))):
        assert Standing.SERVING in standing.values() or not served or record.live is None
        served = Standing.SERVING in standing.values()


@given(cases())
def test_where_live_cannot_be_started_nothing_that_serves_is_taken_away(case: Case) -> None:
    record, observed = case
    if record.live is None or observed.get(record.live) not in (None, Standing.LEAVING):
        return
    machine = Machine.with_standing(observed, broken=[record.live])
    with pytest.raises(Failed):
        asyncio.run(apply_record(record, machine))
    assert machine.serving() >= {name for name, now in observed.items() if now is Standing.SERVING}


@given(cases())
def test_only_what_never_accepted_is_discarded(case: Case) -> None:
    record, observed = case
    for action in converge(record, observed):
        if isinstance(action, Discard):
            assert observed[action.generation] is Standing.HELD
        if isinstance(action, Drain):
            assert observed[action.generation] is not Standing.HELD


SERVING, HELD, LEAVING = Standing.SERVING, Standing.HELD, Standing.LEAVING
LIVE = Record(live=OLD)
BEGUN = LIVE.begin(NEW)


@pytest.mark.parametrize(
    ("record", "observed", "actions"),
    [
        (Record(), {}, ()),
        (LIVE, {OLD: SERVING}, ()),
        (LIVE, {}, (Start(OLD), Go(OLD))),
        (LIVE, {OLD: HELD}, (Go(OLD),)),
        (LIVE, {OLD: LEAVING}, (Start(OLD), Go(OLD))),
        (LIVE, {STRANGER: SERVING, OLD: HELD}, (Go(OLD), Drain(STRANGER))),
        (BEGUN, {OLD: SERVING, NEW: HELD}, (Discard(NEW),)),
        (BEGUN.at(Phase.BOOT), {OLD: SERVING}, (Start(NEW),)),
        (BEGUN.at(Phase.READY), {OLD: SERVING, NEW: HELD}, ()),
        (BEGUN.at(Phase.SWITCH), {OLD: SERVING, NEW: HELD}, (Go(NEW),)),
        (BEGUN.at(Phase.WATCH), {OLD: SERVING, NEW: SERVING}, ()),
        (BEGUN.at(Phase.WATCH).settle(), {OLD: SERVING, NEW: SERVING}, (Drain(NEW),)),
        (BEGUN.at(Phase.WATCH).commit(), {OLD: SERVING, NEW: SERVING}, (Drain(OLD),)),
        (BEGUN.at(Phase.WATCH).commit().settle(), {OLD: SERVING}, (Start(NEW), Go(NEW), Drain(OLD))),
        (Record().begin(NEW).settle(), {NEW: HELD}, (Discard(NEW),)),
    ],
)
def test_known_cases(record: Record, observed: dict[str, Standing], actions: tuple[Action, ...]) -> None:
    assert converge(record, observed) == actions


@given(cases(), st.none() | st.sampled_from(GENERATIONS))
def test_a_front_leads_to_what_serves_and_to_nothing_that_left(case: Case, led_to: str | None) -> None:
    record, observed = case
    machine, front = Machine.with_standing(observed), Signpost(led_to)
    asyncio.run(apply_record(record, machine, front))
    assert machine.observe() == wanted(record)
    goal = wanted_route(record)
    assert front.routed() == (led_to if goal is None else goal)
    assert goal is None or goal in machine.serving()
    assert converge(record, machine.observe(), Routed(front.routed())) == ()


@given(cases(), st.none() | st.sampled_from(GENERATIONS))
def test_it_is_led_to_what_serves_before_anything_leaves(case: Case, led_to: str | None) -> None:
    record, observed = case
    kinds = [type(action) for action in converge(record, observed, Routed(led_to))]
    if Route in kinds:
        assert not {Drain, Discard} & set(kinds[: kinds.index(Route)])
        assert not {Start, Go} & set(kinds[kinds.index(Route) :])


@pytest.mark.parametrize(
    ("record", "observed", "led_to", "actions"),
    [
        (LIVE, {OLD: SERVING}, OLD, ()),
        (LIVE, {OLD: SERVING}, None, (Route(OLD),)),
        (LIVE, {}, OLD, (Start(OLD), Go(OLD))),
        (BEGUN.at(Phase.READY), {OLD: SERVING, NEW: HELD}, OLD, ()),
        (BEGUN.at(Phase.SWITCH), {OLD: SERVING, NEW: SERVING}, OLD, (Route(NEW),)),
        (BEGUN.at(Phase.WATCH).settle(), {OLD: SERVING, NEW: SERVING}, NEW, (Route(OLD), Drain(NEW))),
        (BEGUN.at(Phase.WATCH).commit(standby=True), {OLD: SERVING, NEW: SERVING}, NEW, ()),
        (BEGUN.at(Phase.WATCH).commit(standby=True).settle(), {NEW: SERVING}, NEW, (Start(OLD), Go(OLD))),
        (BEGUN.at(Phase.WATCH).commit(), {OLD: SERVING, NEW: SERVING}, NEW, (Drain(OLD),)),
    ],
)
def test_known_cases_with_a_front(
    record: Record, observed: dict[str, Standing], led_to: str | None, actions: tuple[Action, ...]
) -> None:
    assert converge(record, observed, Routed(led_to)) == actions
