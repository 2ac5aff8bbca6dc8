"""Releases on disk: which one a rollback goes to, and which ones stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segue.core.errors import Refused, UsageError
from segue.core.ids import generation_id
from segue.core.record import Record
from segue.deploy.releases import FAILED_KEPT, Releases, State
from segue.disk.home import Home

IDS = tuple(f"20261121T0134{second:02d}-8c1f2e9" for second in range(12))


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    home = Home(tmp_path)
    home.create()
    return Releases(home)


def add(releases: Releases, *states: State) -> None:
    """One release in each of `states`, oldest first; the good ones were live in that order."""
    for number, state in enumerate(states):
        live_at = {"live_at": f"2026-11-21T{number:02d}"} if state is State.GOOD else {}
        releases.update(IDS[number], state=state, server="gunicorn", **live_at)
        releases.home.release(IDS[number]).mkdir()


def live(number: int, previous: int | None = None) -> Record:
    before = None if previous is None else generation_id(IDS[previous], 1)
    return Record(live=generation_id(IDS[number], 1), previous=before)


GOOD, BAD, READY, FAILED, BUILDING = State.GOOD, State.BAD, State.READY, State.FAILED, State.BUILDING


def test_a_rollback_goes_to_the_good_release_that_was_live_last(releases: Releases) -> None:
    add(releases, GOOD, GOOD, BAD, READY, FAILED, GOOD)
    assert releases.rollback_target(live(5), None) == IDS[1]
    releases.update(IDS[0], live_at="2026-11-22")
    assert releases.rollback_target(live(5), None) == IDS[0]


def test_no_rollback_goes_back_past_a_contract_unless_that_was_undone(releases: Releases) -> None:
    add(releases, GOOD, GOOD, GOOD)
    releases.bar_rollbacks(past=IDS[1])
    assert releases.bars_rollbacks(past=IDS[1])
    assert not releases.bars_rollbacks(past=IDS[2])
    # what is barred already stays so, whatever comes of this one
    releases.bar_rollbacks(past=IDS[2])
    releases.allow_rollbacks(past=IDS[2])
    assert releases.rollback_target(live(2), IDS[1]) == IDS[1]
    with pytest.raises(Refused, match="may not find in the database what it needs"):
        releases.rollback_target(live(2), IDS[0])
    releases.allow_rollbacks(past=IDS[1])
    assert releases.rollback_target(live(2), IDS[0]) == IDS[0]


@pytest.mark.parametrize("others", [(), (BAD,), (READY,), (FAILED,), (BUILDING,)])
def test_without_another_good_release_there_is_nothing_to_go_back_to(
    releases: Releases, others: tuple[State, ...]
) -> None:
    add(releases, GOOD, *others)
    with pytest.raises(Refused) as refused:
        releases.rollback_target(live(0), None)
    assert refused.value.kind == "no_release"


@pytest.mark.parametrize("state", [GOOD, BAD, READY])
def test_any_release_that_was_built_can_be_wished_for(releases: Releases, state: State) -> None:
    add(releases, GOOD, state)
    assert releases.rollback_target(live(0), IDS[1]) == IDS[1]


@pytest.mark.parametrize("state", [FAILED, BUILDING])
def test_a_release_that_was_not_built_can_not_be_wished_for(releases: Releases, state: State) -> None:
    add(releases, GOOD, state)
    with pytest.raises(Refused, match="could not be built"):
        releases.rollback_target(live(0), IDS[1])


def test_a_release_that_was_never_imported_can_not_be_wished_for(releases: Releases) -> None:
    add(releases, GOOD, READY)
    releases.update(IDS[1], server=None)
    with pytest.raises(Refused, match="was never imported"):
        releases.rollback_target(live(0), IDS[1])


def test_what_is_live_is_no_wish(releases: Releases) -> None:
    add(releases, GOOD)
    with pytest.raises(Refused, match="is live already"):
        releases.rollback_target(live(0), IDS[0])


@pytest.mark.parametrize("wish", [IDS[9], "", "../../etc", "v1"])
def test_what_is_not_there_is_no_wish(releases: Releases, wish: str) -> None:
    add(releases, GOOD)
    with pytest.raises(UsageError, match="There is no release") as error:
        releases.rollback_target(live(0), wish)
    assert IDS[0] in error.value.evidence


@given(st.lists(st.sampled_from(State), min_size=1, max_size=12), st.integers(1, 5), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
def test_pruning_keeps_live_previous_the_newest_good_and_some_failures(
    releases: Releases, states: list[State], keep: int, data: st.DataObject
) -> None:
    for release in releases.home.releases():
        releases.remove(release)
    add(releases, *states)
    good = releases.in_state(GOOD)
    number = st.integers(0, len(states) - 1)
    record = live(data.draw(number), data.draw(number))
    before = set(releases.home.releases())
    removed = set(releases.prune(keep, record))
    left = set(releases.home.releases())
    assert left == before - removed
    assert left >= set(good[-keep:]) | set(releases.in_state(BUILDING))
    assert {str(name).rpartition(".")[0] for name in (record.live, record.previous)} <= left
    assert len(releases.in_state(GOOD, READY)) <= keep + 2
    assert len(releases.in_state(BAD, FAILED)) <= FAILED_KEPT + 2
    assert not [release for release in removed if releases.home.release(release).exists()]


def test_a_removed_release_takes_its_generations_along_and_no_others(releases: Releases) -> None:
    add(releases, GOOD, GOOD)
    for release in IDS[:2]:
        for number in (1, 2):
            releases.home.generation(generation_id(release, number)).mkdir()
    releases.remove(IDS[0])
    assert releases.home.generations() == [generation_id(IDS[1], number) for number in (1, 2)]


def test_what_a_dead_build_left_is_swept_away(releases: Releases) -> None:
    add(releases, GOOD, BUILDING, READY)
    assert releases.sweep() == [IDS[1]]
    assert releases.home.releases() == [IDS[0], IDS[2]]


def test_a_folder_without_a_state_is_swept_away(releases: Releases) -> None:
    """Its removal takes the state first, and may be cut short after that."""
    add(releases, GOOD)
    releases.home.release(IDS[1]).mkdir(parents=True)
    releases.home.generation(f"{IDS[1]}.1").mkdir(parents=True)
    assert releases.sweep() == [IDS[1]]
    assert not releases.home.release(IDS[1]).exists()
    assert releases.home.generations() == []
    assert releases.home.releases() == [IDS[0]]


def test_facts_are_added_to_what_is_known(releases: Releases) -> None:
    assert releases.read(IDS[0]) == {}
    assert releases.next_start(IDS[0]) == 1
    releases.update(IDS[0], state=BUILDING, by="ann")
    releases.update(IDS[0], state=READY, starts=1)
    assert releases.read(IDS[0]) == {"id": IDS[0], "state": "ready", "by": "ann", "starts": 1}
    assert releases.next_start(IDS[0]) == 2
