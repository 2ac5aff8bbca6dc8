"""The app's other processes: what starts and what leaves, and in which order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from segue.config.schema import Process
from segue.core.errors import Failed
from segue.deploy.background import Shift, Shifted, plan_shift

OLD, NEW = "20261120T000000-0000000.1", "20261121T013455-8c1f2e9.1"
WORKER = Process.model_validate("celery worker")
BEAT = Process.model_validate({"command": "celery beat", "single": True})
names = st.sampled_from(["worker", "beat", "mail"])
keys = st.tuples(st.sampled_from([OLD, NEW]), names)


def test_the_new_worker_starts_before_the_old_one_leaves() -> None:
    shift = plan_shift(NEW, {"worker": WORKER}, {(OLD, "worker"): False})
    assert shift == Shift((), (((NEW, "worker"), WORKER),), ((OLD, "worker"),))


def test_of_a_scheduler_the_old_one_leaves_first() -> None:
    shift = plan_shift(NEW, {"beat": BEAT}, {(OLD, "beat"): False})
    assert shift == Shift(((OLD, "beat"),), (((NEW, "beat"), BEAT),), ())


def test_what_the_new_release_does_not_have_leaves_last() -> None:
    assert plan_shift(NEW, {}, {(OLD, "mail"): False}) == Shift(last=((OLD, "mail"),))
    assert plan_shift(None, {}, {(OLD, "mail"): False}) == Shift(last=((OLD, "mail"),))


def test_a_scheduler_leaves_first_whatever_its_successor_is_called() -> None:
    old = {(OLD, "clock"): False}
    shift = plan_shift(NEW, {"beat": WORKER}, old, alone=old)
    assert shift == Shift(((OLD, "clock"),), (((NEW, "beat"), WORKER),), ())


def test_what_leaves_already_is_waited_for_only_where_it_must_be_gone() -> None:
    leaving = {(OLD, "worker"): True, (OLD, "beat"): True}
    shift = plan_shift(NEW, {"worker": WORKER, "beat": BEAT}, leaving)
    assert (shift.first, shift.last) == (((OLD, "beat"),), ())
    assert plan_shift(OLD, {"worker": WORKER}, {(OLD, "worker"): True}).start == (((OLD, "worker"), WORKER),)


def test_what_runs_already_is_left_alone() -> None:
    assert (
        plan_shift(NEW, {"worker": WORKER, "beat": BEAT}, {(NEW, "beat"): False, (NEW, "worker"): False})
        == Shift()
    )


@given(
    live=st.sampled_from([None, OLD, NEW]),
    wanted=st.dictionaries(names, st.sampled_from([WORKER, BEAT])),
    running=st.dictionaries(keys, st.booleans()),
)
def test_in_the_end_exactly_those_of_the_live_generation_run(
    live: str | None, wanted: dict[str, Process], running: dict[tuple[str, str], bool]
) -> None:
    shift = plan_shift(live, wanted, running)
    # one that was leaving is gone by itself sooner or later, and started only then
    left = set(running) - set(shift.first)
    for key, process in shift.start:
        left.discard(key)
        assert not (process.single and key[1] in {name for _, name in left}), "two of a kind that runs alone"
    left -= {key for key in left if running[key]}
    left |= {key for key, _ in shift.start}
    left -= set(shift.last)
    assert left == (set() if live is None else {(live, name) for name in wanted})


def test_what_did_not_go_well_is_told() -> None:
    failure = Failed("process", f"worker of {NEW} did not stay up.", evidence="Traceback\nKeyError: 'BROKER'")
    done = Shifted(failed=[(WORKER, failure)], cut=[(OLD, "mail")])
    assert done.notes() == [
        f"worker of {NEW} did not stay up. Its last words: KeyError: 'BROKER'",
        f"mail of {OLD} did not finish in its time, and was ended",
    ]
