"""Deaths at the instants that matter: between two writes, and at any moment of a deploy."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import deaths, torture, victims
from tests.support.apps import make_app
from tests.support.bad import append
from tests.support.deaths import Deploy, demand_rest, kill_controller
from tests.support.site import Site, configure, demand_no_loss, serving, traffic, until
from tests.support.torture import Tell

from segue.core.record import Phase, Record
from segue.deploy.releases import Releases, State

HANGS_IN_WORKERS = """
import sys
if "gunicorn" in sys.argv[0]:
    time.sleep(FOREVER)
"""
LONGEST = 5.0  # seconds that a deploy takes here at most, on a machine with nothing else to do
HELD = 4


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "project"
    make_app(folder, version="quick")
    configure(folder, workers=2)
    with serving(folder) as site:
        yield site


def die_after_writing(deploy: Deploy, record: Record) -> None:
    """Leave everything as a controller does that dies right after it has written `record`."""
    site = deploy.site
    site.process.send_signal(signal.SIGSTOP)
    controller = site.controller()
    controller.signal(signal.SIGKILL)
    until(lambda: not controller.alive(), what="its end")
    site.home.write_record(record)
    site.process.send_signal(signal.SIGCONT)


def test_a_controller_that_dies_right_after_the_commit_is_followed_forward(site: Site) -> None:
    deaths.long_phases(site, watch="15s")
    with traffic(f"{site.url}/", rate=torture.RATE) as load, deaths.deploying(site) as deploy:
        deploy.in_phase("watch")
        die_after_writing(deploy, site.home.read_record().commit())
        deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert deploy.asker.returncode == 0
        demand_rest(site)
    demand_no_loss(load)
    assert site.home.read_record().live == deploy.generation
    assert {release["state"] for release in Releases(site.home).all()} == {State.GOOD}


def test_a_controller_that_dies_before_it_could_say_go_is_taken_back(site: Site) -> None:
    deaths.long_phases(site)
    make_app(site.folder, version="next", import_seconds=3.0)
    with traffic(f"{site.url}/", rate=torture.RATE) as load, deaths.deploying(site) as deploy:
        deploy.in_phase("ready")
        die_after_writing(deploy, site.home.read_record().at(Phase.SWITCH))
        deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert deploy.asker.returncode == 1
        demand_rest(site)
    demand_no_loss(load)
    assert set(load.report["generations"]) == {deploy.before}


def test_a_candidate_whose_workers_hang_leaves_none_when_its_master_is_killed(site: Site) -> None:
    append(site.folder, HANGS_IN_WORKERS)
    with traffic(f"{site.url}/", rate=torture.RATE) as load, deaths.deploying(site) as deploy:
        victims.VICTIMS["candidate_worker"](deploy)
        victims.VICTIMS["candidate_master"](deploy).signal(signal.SIGKILL)
        deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert deploy.asker.returncode == 1
        demand_rest(site)
    demand_no_loss(load)


def test_a_deploy_after_a_death_in_the_drain_waits_its_turn(site: Site) -> None:
    """Its successor goes on with the drain, and never are more than three generations alive."""
    deaths.long_phases(site)
    with (
        deaths.deploying(site) as first,
        deaths.held_by_live(first, "drain") as request,
    ):
        first.in_phase("drain")
        kill_controller(site)
        with deaths.deploying(site) as second:
            most = most_alive(site, second.asker)
        assert second.asker.returncode == 0
        assert deaths.answered(request)
    assert 2 <= most <= 3
    demand_rest(site)


def most_alive(site: Site, asker: subprocess.Popen[str]) -> int:
    most = 0

    def ended() -> bool:
        nonlocal most
        most = max(most, len(site.masters()))
        return asker.poll() is not None

    until(ended, 60, what="the deploy's end")
    return most


def after(moment: float) -> None:
    """Let `moment` seconds go by: the instant is what the test is about."""
    began = time.monotonic()
    until(lambda: time.monotonic() - began >= moment)


@dataclass(frozen=True)
class Instant:
    """A signal to one of segue's own, some seconds after a deploy has begun."""

    to: str
    number: signal.Signals
    moment: float

    def __str__(self) -> str:
        return f"{self.to}-{self.number.name}-{self.moment}"


def instants(to: str, *numbers: signal.Signals, tries: int) -> list[Instant]:
    lot = torture.moments(tries, LONGEST)
    return [Instant(to, number, moment) for number in numbers for moment in lot]


GOES_ON = [
    *instants("controller", signal.SIGKILL, tries=40),
    *instants("controller", signal.SIGHUP, tries=5),
    *instants("asker", signal.SIGINT, tries=20),
    *instants("asker", signal.SIGTERM, signal.SIGHUP, tries=5),
]
STOPS = [
    *instants("parent", signal.SIGINT, signal.SIGTERM, signal.SIGHUP, tries=5),
    *instants("controller", signal.SIGTERM, signal.SIGINT, tries=5),
]


def said(instant: Instant) -> str:
    return f"{instant.number.name} to the {instant.to}"


@pytest.mark.torture
@pytest.mark.parametrize("instant", torture.rows(GOES_ON, [GOES_ON[0], GOES_ON[45]], 4))
def test_a_deploy_goes_on_or_is_taken_back(site: Site, instant: Instant, tell: Tell) -> None:
    told = tell("sync", said(instant), f"{instant.moment} s")
    deaths.long_phases(site)
    with traffic(f"{site.url}/", rate=torture.RATE) as load:
        with deaths.deploying(site) as deploy, deaths.held_by_live(deploy, "boot") as request:
            deploy.in_phase("build")
            after(instant.moment)
            whom = site.controller().pid if instant.to == "controller" else deploy.asker.pid
            os.kill(whom, instant.number)
            deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
            demand_rest(site)
            assert deploy.asker.returncode in code_of(instant, committed=deploy.committed())
            assert deaths.history(site)[deploy.generation]["ok"] == deploy.committed()
        site.deploy("--wait")
    told.rest = deaths.SERVES[deploy.committed()]
    told.count(load, [request])


def code_of(instant: Instant, *, committed: bool) -> set[int]:
    """What the asker may end with; one that had its answer before the signal came ends as ever."""
    if instant.to == "controller":
        return {0 if committed else 1}
    if instant.number is signal.SIGINT:
        return {0 if committed else 130}
    assert committed, "nobody asked for it to be taken back"
    return {-instant.number, 0}


@pytest.mark.torture
@pytest.mark.parametrize("instant", torture.rows(STOPS, [STOPS[0]], 2))
def test_a_stop_in_a_deploy_leaves_nobody_behind(tmp_path: Path, instant: Instant, tell: Tell) -> None:
    """Requests are only held here: whoever comes after a stop is refused, as he should be."""
    told = tell("gthread", said(instant), f"{instant.moment} s")
    with victims.served(tmp_path / "project", "gthread") as site, contextlib.ExitStack() as stack:
        deaths.long_phases(site, **victims.settings("gthread"))
        held = [stack.enter_context(deaths.in_flight(site, LONGEST + 1)) for _ in range(HELD)]
        until(lambda: (counts := site.live().counts()).started - counts.finished == HELD, what="all held")
        with deaths.deploying(site) as deploy:
            deploy.in_phase("build")
            after(instant.moment)
            os.kill(site.process.pid if instant.to == "parent" else site.controller().pid, instant.number)
            deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert site.process.wait(deaths.END_TIMEOUT) in (0, 130)
        deaths.demand_nothing_left(site)
    at_once = instant.to == "controller" and instant.number is signal.SIGINT
    told.rest = "nothing runs: it drained and left"
    told.count(None, held, HELD if at_once else 0, torture.CUT)
