"""A request that outlasts the drain is cut, whoever ends its worker; the receipt counts it."""

from __future__ import annotations

import contextlib
import json
import signal
from pathlib import Path

import pytest
from tests.support import deaths
from tests.support.apps import make_app
from tests.support.deaths import demand_rest
from tests.support.site import configure, serving, until
from tests.support.table import FAMILIES, SERVERS, often

HELD = 2
GONE = (
    b"GET /stream?seconds=5 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf of it",
    b"GET / HTTP/1.1\r\nHo",
)


@pytest.mark.parametrize("server", often(SERVERS, *FAMILIES, "gevent", "asgi"))
def test_what_outlasts_the_drain_is_counted(tmp_path: Path, server: str) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="quick", interface=SERVERS[server].interface)
    configure(folder, **{**SERVERS[server].job, "drain_timeout": "1s", "linger": "500ms"})
    with serving(folder) as site, deaths.in_flight(site, 60.0) as one, deaths.in_flight(site, 60.0) as other:
        old = site.generation(site.live().name)
        until(lambda: old.counts().started - old.counts().finished == HELD, what="the requests in the app")
        make_app(folder, version="next", interface=SERVERS[server].interface)
        outcome = site.segue("deploy", "--json")
        assert (outcome.code, outcome.document["cut"]) == (0, HELD), outcome.err
        assert not any(map(deaths.answered, (one, other)))
        assert f"{HELD} requests outlasted the drain" in site.segue("receipt").out
        demand_rest(site)


@pytest.mark.parametrize("server", often(SERVERS, *FAMILIES))
def test_who_went_away_is_not(tmp_path: Path, server: str) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="quick", interface=SERVERS[server].interface)
    configure(folder, **{**SERVERS[server].job, "drain_timeout": "20s", "linger": "500ms"})
    with serving(folder) as site:
        for asked in GONE * 3:
            with site.way.connect(site.url, 20) as client:
                client.sendall(asked)
                if asked.startswith(b"GET /stream"):
                    assert client.recv(1) == b"H"
        make_app(folder, version="next", interface=SERVERS[server].interface)
        assert site.deploy()["cut"] == 0
        demand_rest(site)


def test_what_an_old_worker_held_that_died_before_the_drain_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="quick")
    configure(folder, workers=2)
    with serving(folder) as site:
        deaths.long_phases(site)
        with deaths.in_flight(site, 60.0) as request, deaths.deploying(site) as deploy:
            deploy.in_phase("import")
            deaths.holder(site.generation(deploy.before)).signal(signal.SIGKILL)
            assert not deaths.answered(request)
            out, err = deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
            assert deploy.asker.returncode == 0, err
        receipt = json.loads(out)
        assert (receipt["lost"]["held_by_crashed"], receipt["cut"]) == (1, 0)
        demand_rest(site)


def test_what_outlasts_the_drain_of_a_candidate_that_is_taken_back_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="quick")
    configure(folder, workers=2, threads=8)
    with serving(folder) as site, contextlib.ExitStack() as stack:
        deaths.long_phases(site, watch="15s", threads=8, drain_timeout="1s")
        deploy = stack.enter_context(deaths.deploying(site))
        deploy.in_phase("watch")
        candidate = site.generation(deploy.generation)

        def holds_one() -> bool:
            """Whether one of the requests, of which one more is sent, came to the candidate."""
            stack.enter_context(deaths.in_flight(site, 60.0))
            counts = candidate.counts()
            return counts.started > counts.finished

        until(holds_one, what="a request in the candidate")
        deaths.holder(candidate)
        deploy.asker.send_signal(signal.SIGINT)
        out, _ = deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert deploy.asker.returncode == 130
        receipt = json.loads(out)
        assert receipt["lost"]["held_by_crashed"] > 0
        assert receipt["cut"] == 0
        site.process.send_signal(signal.SIGTERM)
        site.process.wait(deaths.END_TIMEOUT)
