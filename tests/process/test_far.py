"""P1 from 40 ms away: what loopback hides, as there no request is ever under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from tests.support.far import far
from tests.support.leaving import (
    ANY,
    PLAIN,
    demand_a_hup_waits,
    demand_a_restart_loses,
    lag,
    made,
    race_both_ways,
    raced,
    through,
)
from tests.support.main_job import main_job
from tests.support.plain import plain_uvicorn
from tests.support.race import Result, demand_every_answer, race, unspoilt
from tests.support.site import configure, serving
from tests.support.table import FAMILIES, SERVERS, often
from tests.support.way import Way

# a sender on a busy machine is late by less than that, or its run is spoilt
LINGER, MARGIN = 0.5, 0.05

# one of each family in CI, and the rest in soak
servers = pytest.mark.parametrize(
    "server",
    often(SERVERS, *FAMILIES),
)
plain_servers = pytest.mark.parametrize("server", often(PLAIN, "gthread"))


@pytest.fixture
def way() -> Iterator[Way]:
    """A way of 40 ms."""
    with far() as made:
        yield made


@servers
def test_old_workers_answer_whatever_they_hold(tmp_path: Path, server: str, way: Way) -> None:
    """The request leaves 10 to 300 ms after the word to leave, and arrives 20 ms later."""
    race_both_ways(tmp_path / "project", server, way)


@pytest.mark.parametrize("server", ["gthread", "uvicorn"])
def test_a_request_that_leaves_as_late_as_promised_is_answered(tmp_path: Path, server: str, way: Way) -> None:
    """Over a connection kept alive, `linger` minus one round trip after the word to leave."""
    folder = made(tmp_path / "project", server)
    configure(folder, linger=f"{LINGER}s", **SERVERS[server].race)
    latest = LINGER - way.round_trip - MARGIN

    def run() -> list[Result]:
        results = raced(site, "deploy", ["kept"], offsets=(latest / 2, latest))
        # the last one is not judged where it was late: past the linger it is lost by right
        demand_every_answer([result for result in results if result.offset < latest], ANY)
        return results

    with serving(folder, way=way) as site:
        results = unspoilt(run, lag)
    assert {result.outcome for result in results} == {"answered"}


@pytest.mark.parametrize("server", ["uvicorn"])
@pytest.mark.timeout(600)
def test_deploys_in_a_row_lose_nothing(tmp_path: Path, server: str, way: Way) -> None:
    """Two deploys under mixed traffic."""
    main_job(tmp_path / "project", server, deploys=2, way=way)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_ten_deploys_in_a_row_lose_nothing(tmp_path: Path, server: str, way: Way) -> None:
    """Ten deploys under mixed traffic."""
    main_job(tmp_path / "project", server, deploys=10, way=way)


@plain_servers
def test_a_naive_restart_loses_this_race(tmp_path: Path, server: str, way: Way) -> None:
    """The same assertion, against stopping Gunicorn and starting it again."""
    demand_a_restart_loses(tmp_path / "project", server, way)


@plain_servers
def test_a_plain_hup_loses_this_race_by_waiting_for_the_import(tmp_path: Path, server: str, way: Way) -> None:
    """The same assertion, against HUP."""
    demand_a_hup_waits(tmp_path / "project", server, way)


# Uvicorn looks every 100 ms whether it is to stop, and then closes at once what waits for a next request
EVERY_10_MS = [number / 100 for number in range(50)]


def test_uvicorn_alone_loses_what_is_on_its_way_when_it_stops(tmp_path: Path, way: Way) -> None:
    """Requests on open connections that cross the server's end of them."""
    with plain_uvicorn(made(tmp_path / "project", "uvicorn"), way=way) as (url, process):
        stopped = Event()

        def stop() -> None:
            process.terminate()
            stopped.set()
            process.wait()

        results = race(url, stop, stopped.is_set, ["kept"], offsets=EVERY_10_MS, way=way)
    with pytest.raises(AssertionError, match=r"^lost \d+ of"):
        demand_every_answer(results, 60)


def test_uvicorn_behind_the_gate_answers_them(tmp_path: Path, way: Way) -> None:
    """The same requests."""
    folder = made(tmp_path / "project", "uvicorn")
    configure(folder, linger="2s", **SERVERS["uvicorn"].race)
    with serving(folder, way=way) as site:
        results = through(site, "restart", ["kept"], offsets=EVERY_10_MS)
    assert {result.outcome for result in results} == {"answered"}
