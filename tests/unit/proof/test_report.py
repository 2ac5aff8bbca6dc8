"""Counting: every outcome once, the longest gap, the percentiles."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.proof.connection import Answer
from segue.proof.percentile import percentile
from segue.proof.report import SPOILT_LAG_MS, Tally

END = 1000.0
LOST = "reset"

outcomes = st.lists(
    st.tuples(st.floats(0, END), st.sampled_from([200, 204, 302, 404, 500, 502]) | st.just(LOST))
).map(lambda pairs: sorted(pairs, key=itemgetter(0)))
samples = st.lists(st.floats(0, 1e6), min_size=1).map(sorted)


def tally_of(pairs: list[tuple[float, int | str]]) -> Tally:
    tally = Tally("http://127.0.0.1/", 10)
    for at, outcome in pairs:
        tally.start(late=0.0)
        if isinstance(outcome, str):
            tally.fail(outcome, "seen", planned=at, now=at, shot="GET /")
        else:
            tally.answer(Answer(outcome, "r1", "r1.2"), planned=at, now=at, shot="GET /")
    return tally


@given(outcomes)
def test_every_outcome_counts_once(pairs: list[tuple[float, int | str]]) -> None:
    report = tally_of(pairs).report(END)
    answers = [outcome for _, outcome in pairs if isinstance(outcome, int)]
    assert report.sent == report.ok + report.failed == len(pairs)
    assert report.in_flight == 0
    assert report.ok == sum(status < 400 for status in answers)
    assert report.failed == sum(report.failures.values())
    assert report.failures.get(LOST, 0) == len(pairs) - len(answers)
    assert sum(report.statuses.values()) == len(answers)
    assert report.releases.get("r1", 0) == report.generations.get("r1.2", 0) == len(answers)
    assert report.errors.get("r1.2", 0) == sum(status >= 500 for status in answers)
    assert len(report.samples) == min(20, report.failed)


@given(outcomes)
def test_the_longest_gap_has_no_success_in_it(pairs: list[tuple[float, int | str]]) -> None:
    successes = [at for at, outcome in pairs if isinstance(outcome, int) and outcome < 400]
    moments = [0.0, *successes, END]
    widest = max(later - earlier for earlier, later in pairwise(moments))
    assert tally_of(pairs).report(END).longest_gap_ms == pytest.approx(widest * 1000, abs=0.01)


def test_a_success_after_the_end_still_closes_the_gap() -> None:
    assert tally_of([(0.0, 200), (12.0, 200)]).report(10).longest_gap_ms == 12_000


@given(samples, st.floats(0.01, 1))
def test_a_percentile_is_the_smallest_value_that_covers_its_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    rounded = [round(value, 2) for value in values]
    assert found in rounded
    assert sum(value <= found for value in rounded) >= share * len(values) - 1e-9
    assert sum(value < found for value in rounded) < math.ceil(share * len(values))


def test_a_percentile_of_nothing_is_none() -> None:
    assert percentile([], 0.5) is None


def test_latency_counts_from_the_planned_time() -> None:
    tally = Tally("http://127.0.0.1/", 10)
    tally.start(late=0.2)
    tally.answer(Answer(200, "", ""), planned=1.0, now=1.5, shot="GET /")
    report = tally.report(2)
    assert report.latency_ms.p50 == report.latency_ms.max == 500
    assert report.lag_ms == 200
    assert report.releases == report.generations == {}


def test_a_request_on_its_way_is_in_flight_and_not_yet_sent() -> None:
    tally = Tally("http://127.0.0.1/", 10)
    tally.start(late=0)
    assert (tally.report(1).in_flight, tally.report(1).sent) == (1, 0)


@pytest.mark.parametrize(("late_ms", "spoilt"), [(SPOILT_LAG_MS, False), (SPOILT_LAG_MS + 1, True)])
def test_a_late_probe_is_spoilt(late_ms: int, spoilt: bool) -> None:
    tally = Tally("http://127.0.0.1/", 10)
    tally.start(late=late_ms / 1000)
    assert tally.report(1).as_dict()["spoilt"] is spoilt


def test_a_probe_without_descriptors_is_spoilt() -> None:
    assert tally_of([(1.0, "exhausted")]).report(2).is_spoilt


def test_the_report_has_the_documented_keys() -> None:
    document = json.loads(json.dumps(tally_of([(1.0, 500)]).report(2).as_dict()))
    assert {
        "sent", "ok", "failed", "failures", "latency_ms", "longest_gap_ms", "releases", "generations",
        "duration_s", "lag_ms", "url", "rate", "spoilt", "samples", "errors",
    } <= document.keys()  # fmt: skip
    assert document["latency_ms"] == {"p50": None, "p95": None, "p99": None, "max": None}
    assert document["samples"] == [
        {"at_s": 1.0, "kind": "status_500", "detail": "a full answer", "shot": "GET /", "idle_s": None}
    ]
