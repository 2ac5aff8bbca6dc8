"""The record moves forward by few, checked steps, and survives the disk whole or not at all."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.records import GENERATIONS, records

from segue.core.record import BEFORE_COMMIT, Phase, Record

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([*GENERATIONS, *Phase]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
fields = st.sampled_from(["live", "previous", "candidate", "phase"])


@given(records())
def test_a_record_comes_back_from_its_dict(record: Record) -> None:
    assert Record.from_dict(record.as_dict()) == record


@given(records(), st.dictionaries(fields | st.text(), json_values), st.sets(fields))
@example(Record(), {"phase": []}, set())
@example(Record(), {"phase": {}}, set())
def test_a_damaged_dict_is_a_value_error_or_a_record_that_says_the_same(
    record: Record, damage: dict[str, Any], lost: set[str]
) -> None:
    data = {key: value for key, value in {**record.as_dict(), **damage}.items() if key not in lost}
    try:
        read = Record.from_dict(data)
    except ValueError:
        return
    assert read.as_dict() == data


@given(json_values)
def test_no_json_makes_it_fail_otherwise(data: Any) -> None:
    with pytest.raises(ValueError, match=r"^a record has exactly the keys live, previous, candidate, phase$"):
        Record.from_dict(data)


@pytest.mark.parametrize("key", ["live", "previous", "candidate", "standby"])
@pytest.mark.parametrize("name", ["latest", 1, ""])
def test_what_is_no_generation_is_named_by_its_key(key: str, name: object) -> None:
    with pytest.raises(ValueError, match=f"^{key} is no generation's id$"):
        Record.from_dict({**Record().as_dict(), key: name})


@given(records())
def test_settling_before_the_commit_never_loses_live_and_after_it_goes_forward(record: Record) -> None:
    rest = record.settle()
    assert rest.phase is Phase.REST
    assert rest.candidate is None
    assert (rest.live, rest.previous) == (record.live, record.previous)
    if record.candidate is not None:
        committed = record.commit()
        assert committed.settle().live == record.candidate
        assert committed.previous == record.live or record.live is None


def test_a_deploy_goes_from_phase_to_phase_with_all_else_as_it_was() -> None:
    begun = Record(GENERATIONS[0], GENERATIONS[1]).begin(GENERATIONS[2])
    assert begun == Record(GENERATIONS[0], GENERATIONS[1], GENERATIONS[2], Phase.BUILD)
    assert begun.at(Phase.BOOT) == Record(GENERATIONS[0], GENERATIONS[1], GENERATIONS[2], Phase.BOOT)
    assert begun.at(Phase.WATCH).commit() == Record(GENERATIONS[2], GENERATIONS[0], None, Phase.DRAIN)


@given(records())
def test_settling_twice_is_settling_once(record: Record) -> None:
    assert record.settle().settle() == record.settle()


@given(records())
def test_what_was_live_can_be_gone_back_to_after_a_retirement(record: Record) -> None:
    retired = record.settle().retire()
    assert retired.live is None
    assert retired.previous == (record.live or record.previous)


def test_nothing_can_be_committed_without_a_candidate() -> None:
    with pytest.raises(ValueError, match=r"^nothing to commit$"):
        Record(live=GENERATIONS[0]).commit()


@pytest.mark.parametrize("phase", Phase)
def test_a_candidate_goes_with_the_phases_before_commit_and_no_other(phase: Phase) -> None:
    candidate, none = (GENERATIONS[0], None) if phase in BEFORE_COMMIT else (None, GENERATIONS[0])
    assert Record(candidate=candidate, phase=phase).candidate == candidate
    with pytest.raises(ValueError, match="does not go with phase"):
        Record(candidate=none, phase=phase)


@pytest.mark.parametrize("record", [Record(live=GENERATIONS[0]), Record(previous=GENERATIONS[0])])
def test_what_serves_or_served_is_no_candidate(record: Record) -> None:
    with pytest.raises(ValueError, match="live or previous already"):
        record.begin(GENERATIONS[0])


def test_what_is_kept_warm_may_come_back_and_nothing_else_is_kept_warm() -> None:
    old, new, other = GENERATIONS[:3]
    warm = Record(live=old).begin(new).at(Phase.WATCH).commit(standby=True)
    assert (warm.live, warm.previous, warm.standby) == (new, old, old)
    assert warm.settle().stand_down() == Record(new, old)
    assert warm.as_dict()["standby"] == old
    assert Record.from_dict(warm.as_dict()) == warm
    back = warm.settle().begin(old)
    assert back.settle() == warm.settle()
    assert back.commit(standby=True) == Record(old, new, None, Phase.DRAIN, new)
    assert warm.settle().begin(other).commit() == Record(other, new, None, Phase.DRAIN)
    assert warm.settle().retire() == Record(previous=new)
    with pytest.raises(ValueError, match=f"^standby {other} is not the previous generation$"):
        Record(live=new, previous=old, standby=other)


def test_a_record_without_a_standby_reads_as_it_did_before_there_were_any() -> None:
    assert set(Record().as_dict()) == {"live", "previous", "candidate", "phase"}
    with pytest.raises(ValueError, match=r"^a standby that is none is left out$"):
        Record.from_dict({**Record().as_dict(), "standby": None})
