"""The pure parts of the benchmark of peers: rounds to ratios, rows to cells."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks.peers.row import Bad, Races, Round, Row, Side
from benchmarks.peers.table import COLUMNS, STARVED, Failed, table, times

QUIET = Side(sent=600, lost=0, slowest_ms=10.0, gap_ms=20.0, lag_ms=5.0)
REFUSED = Bad(sent=1000, lost=0, answering=frozenset({"v1"}), version="v2")
LIVE = Bad(sent=1000, lost=0, answering=frozenset({"v2"}), version="v2")


def a_round(
    *, lost: int = 0, slowest: float | None = 50.0, lag: float = 5.0, seconds: float | None = 2.0
) -> Round:
    return Round(QUIET, Side(1000, lost, slowest, 300.0, lag), seconds, memory=1.5)


def a_row(*rounds: Round, no_import: Bad = REFUSED) -> Row:
    return Row("peer", rounds, no_import, LIVE, Races(24, 3, late=False))


def cells(row: Row | Failed) -> dict[str, str]:
    return dict(
        zip(COLUMNS, [cell.strip() for cell in table([row]).splitlines()[-1].split("|")[1:-1]], strict=True)
    )


def test_a_round_is_measured_by_its_own_quiet_time() -> None:
    assert (a_round().slowest, a_round().gap) == (5.0, 15.0)
    assert a_round(slowest=None).slowest is None


def test_losses_are_counted_in_every_round_and_per_million() -> None:
    row = a_row(a_round(lost=3), a_round(lost=1, lag=80.0))
    assert (row.lost, row.sent, row.per_million) == (4, 2000, 2000.0)


def test_losses_without_a_deploy_are_told_apart() -> None:
    noisy = Round(replace(QUIET, lost=2), a_round(lost=1).deploy, 2.0, 1.5)
    assert cells(a_row(noisy))["lost per million (of n)"] == "1,000 (1 of 1,000; 2 more in quiet)"


def test_waits_are_those_of_rounds_that_were_not_spoilt() -> None:
    row = a_row(a_round(slowest=20), a_round(slowest=40), a_round(slowest=900, lag=51.0))
    assert row.median(lambda each: each.slowest) == 3.0
    assert not row.starved
    spoilt = a_row(a_round(slowest=20), a_round(slowest=900, lag=51.0))
    assert spoilt.starved
    assert cells(spoilt)["deployed by"] == f"peer {STARVED}"


def test_a_row_tells_what_was_seen() -> None:
    down = Bad(sent=1000, lost=700, answering=frozenset({None}), version="v2")
    assert cells(a_row(a_round(), a_round(lost=1), no_import=down)) == {
        "deployed by": "peer",
        "lost per million (of n)": "500 (1 of 2,000)",
        "races lost": "3 of 24",
        "slowest request": times(5.0),
        "longest gap": times(15.0),
        "new release after": "2.0 s",
        "does not import": "**down**; 700 of 1,000 lost",
        "unhealthy": "**live**; 0 of 1,000 lost",
        "memory": times(1.5),
    }


def test_a_release_that_never_came_is_told() -> None:
    assert cells(a_row(a_round(), a_round(seconds=None)))["new release after"] == "never"


def test_races_that_could_not_be_run_say_so_in_their_cell() -> None:
    row = replace(a_row(a_round()), races=Races(0, 0, late=False, trouble="nobody was told to leave"))
    assert cells(row)["races lost"] == "not run: nobody was told to leave"


def test_a_peer_that_could_not_be_run_says_so_in_its_row() -> None:
    told = cells(Failed("uWSGI", "no compiler"))
    assert (told["deployed by"], told["lost per million (of n)"]) == ("uWSGI", "not run: no compiler")


@pytest.mark.parametrize(
    ("answering", "fate"),
    [
        ({"v1"}, "the old one serves"),
        ({"v2"}, "**live**"),
        ({"v1", "v2"}, "**live**"),
        ({None}, "**down**"),
        ({"v1", None}, "half down"),
    ],
)
def test_the_fate_of_a_bad_release(answering: set[str | None], fate: str) -> None:
    assert Bad(1, 0, frozenset(answering), "v2").fate == fate
