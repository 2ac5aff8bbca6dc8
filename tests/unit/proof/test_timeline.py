"""What is kept of a probe's requests: never more than there is room for, failures first, then the slowest."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.proof.connection import Answer
from segue.proof.report import Tally
from segue.proof.timeline import OK, Point, Timeline, read_timeline, thinned

MOST = 12
points = st.lists(
    st.builds(
        Point,
        st.floats(0, 100),
        st.floats(0, 10),
        st.sampled_from([OK, OK, OK, "reset"]),
        st.sampled_from(["", "a.1", "b.1"]),
    ),
    max_size=60,
)


@given(points)
def test_a_part_is_kept_where_there_is_no_room_for_all(all_of: list[Point]) -> None:
    kept = thinned(all_of, MOST)
    assert len(kept) <= MOST
    assert not Counter(kept) - Counter(all_of)
    assert kept == sorted(kept, key=lambda point: point.at)
    if len(all_of) <= MOST:
        assert len(kept) == len(all_of)
    failed = [point for point in all_of if point.failed]
    if len(failed) <= MOST // 2:
        assert Counter(point for point in kept if point.failed) == Counter(failed)
    if good := [point for point in all_of if not point.failed]:
        assert max(good, key=lambda point: point.seconds).seconds in {point.seconds for point in kept}


@given(points)
def test_thinning_on_the_way_loses_neither_failures_nor_the_slowest(all_of: list[Point]) -> None:
    timeline = Timeline(most=MOST)
    for point in sorted(all_of, key=lambda one: one.at):
        timeline.add(point.at, point.at + point.seconds, point.outcome, point.side)
    document = timeline.as_dict()
    assert document["sent"] == len(all_of)
    assert len(document["points"]) <= MOST
    failed = sum(point.failed for point in all_of)
    assert sum(outcome != 0 for _, _, outcome, _ in document["points"]) >= min(failed, 1)
    counted = sum(spread["count"] for spread in document["latency_ms"].values())
    assert counted == len(all_of) - failed
    for side, spread in document["latency_ms"].items():
        slowest = max(one.seconds for one in all_of if one.side == side and not one.failed)
        assert spread["max"] == pytest.approx(slowest * 1000, abs=0.02)


def test_a_request_stands_where_the_deploy_had_come_to(tmp_path: Path) -> None:
    timeline = Timeline(zero=0.5)
    tally = Tally("http://127.0.0.1/", 10, timeline)
    tally.answer(Answer(200, "r1", "r1.2"), planned=1.0, now=1.25, shot="GET /")
    tally.answer(Answer(502, "r1", "r1.2"), planned=1.1, now=1.2, shot="GET /")
    tally.fail("refused", "nobody there", planned=1.2, now=1.3, shot="GET /")
    document = timeline.as_dict()
    assert document["outcomes"] == [OK, "refused", "status_502"]
    assert document["sides"] == ["", "r1.2"]
    assert document["points"] == [[1.5, 250.0, 0, 1], [1.6, 100.0, 2, 1], [1.7, 100.0, 1, 0]]
    path = tmp_path / "a.timeline"
    path.write_text(json.dumps(document))
    assert read_timeline(path) == document


@pytest.mark.parametrize(
    "wrong",
    [
        {"points": [[1.0, 2.0, 7, 0]]},
        {"points": [[1.0, 2.0, 0, -1]]},
        {"points": [[1.0, "2", 0, 0]]},
        {"points": [[1.0, 2.0, 0]]},
        {"points": [{}]},
        {"points": None},
        {"sides": [1]},
        {"latency_ms": {"": {"p50": "fast"}}},
        {"latency_ms": {"": None}},
    ],
    ids=json.dumps,
)
def test_a_damaged_one_is_none(tmp_path: Path, wrong: dict[str, object]) -> None:
    timeline = Timeline()
    timeline.add(0, 1, OK, "")
    path = tmp_path / "a.timeline"
    path.write_text(json.dumps({**timeline.as_dict(), **wrong}))
    assert read_timeline(path) is None
    assert read_timeline(tmp_path / "none.timeline") is None
