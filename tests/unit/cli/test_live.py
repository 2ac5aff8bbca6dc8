"""Rates and percentiles out of counters that only go up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from segue.cli import live
from segue.cli.live import NOTHING, WINDOW, Recent, Snapshot
from segue.core.errors import SegueError, Unreachable
from segue.run.gate.counting import BUCKETS

LIVE, OLD = "20261121T063409-8c1f2e9.1", "20261121T063406-51d0b7a.12"


def told(requests: int, errors: int = 0, bucket: int = 12, **more: Any) -> dict[str, Any]:
    latency = [0] * BUCKETS
    latency[bucket] = requests
    return {
        "generation": LIVE, "alive": True, "workers": 4, "requests": requests, "errors": errors,
        "latency": latency, **more,
    }  # fmt: skip


def document(live: Any = None, previous: Any = None, standby: str | None = None) -> dict[str, Any]:
    roles = {"live": live, "previous": previous, "candidate": None}
    return {"app": "shop", "target": "local", "phase": "rest", **roles, "standby": standby}


def recent(*seen: tuple[float, dict[str, Any]]) -> list[tuple[str, ...]]:
    kept = Recent()
    for at, one in seen:
        kept.add(Snapshot(at, one))
    return kept.lines()


def test_a_rate_needs_two_looks() -> None:
    assert recent((0.0, document(told(100)))) == [(LIVE, "live", "4", NOTHING, NOTHING, NOTHING, "100")]
    (line,) = recent((0.0, document(told(100, 1))), (2.0, document(told(150, 3))))
    assert line == (LIVE, "live", "4", "25.0", "2", "<4 ms", "150")


def test_only_the_window_counts() -> None:
    seen = [(float(second), document(told(1000 if second < 5 else 1100))) for second in range(30)]
    (line,) = recent(*seen)
    assert (line[3], line[5]) == ("0.0", NOTHING)
    (line,) = recent((0.0, document(told(0))), (WINDOW * 5, document(told(500))))
    assert line[3] == "10.0"


def test_a_generation_that_came_meanwhile_counts_from_there() -> None:
    before, after = document(told(10)), document(told(10), told(20, generation=OLD))
    lines = recent((0.0, before), (1.0, after), (2.0, document(told(11), told(20, generation=OLD))))
    assert [line[:2] for line in lines] == [(LIVE, "live"), (OLD, "previous")]
    assert [line[3] for line in lines] == ["0.5", "0.0"]


def test_one_that_is_down_or_kept_warm_says_so() -> None:
    down = {"generation": OLD, "alive": False}
    assert recent((0.0, document(down)))[0][2] == "down"
    assert recent((0.0, document(None, told(5), standby=LIVE)))[0][1] == "standby"
    assert recent((0.0, document())) == []


@pytest.mark.parametrize(("bucket", "shown"), [(9, "<0.51 ms"), (12, "<4 ms"), (21, "<2 s")])
def test_a_bound_is_short(bucket: int, shown: str) -> None:
    (line,) = recent((0.0, document(told(0))), (1.0, document(told(9, bucket=bucket))))
    assert line[5] == shown


def test_what_goes_wrong_on_the_way_is_shown_and_may_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "INTERVAL", 0.0)
    gone = Unreachable("ssh", "web1 can't be reached.")
    answers: Iterator[dict[str, Any] | SegueError] = iter([document(told(1)), gone, document(told(2))])

    def ask() -> dict[str, Any]:
        answer = next(answers, None)
        if isinstance(answer, dict):
            return answer
        raise answer or KeyboardInterrupt

    live.follow(ask)
    _, first, trouble, last = capsys.readouterr().out.splitlines()
    assert trouble.endswith("  web1 can't be reached.")
    assert LIVE in first
    assert LIVE in last


def test_what_goes_wrong_at_once_is_an_error() -> None:
    def ask() -> dict[str, Any]:
        raise Unreachable("ssh", "web1 can't be reached.")

    with pytest.raises(Unreachable):
        live.follow(ask)
