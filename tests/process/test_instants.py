"""Deaths at the instants that matter: between two writes, and at any moment of a deploy."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import deaths
from tests.support.apps import make_app
from tests.support.bad import append
from tests.support.deaths import Deploy, demand_rest, kill_controller
from tests.support.site import Site, configure, demand_no_loss, serving, traffic, until

from segue.core.record import Phase, Record
from segue.deploy.releases import Releases, State

HANGS_IN_WORKERS = """
import sys
if "gunicorn" in sys.argv[0]:
    time.sleep(FOREVER)
"""
SEED = 20261121


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
    deaths.long_phases(site)
    with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
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
    with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
        deploy.in_phase("ready")
        die_after_writing(deploy, site.home.read_record().at(Phase.SWITCH))
        deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert deploy.asker.returncode == 1
        demand_rest(site)
    demand_no_loss(load)
    assert set(load.report["generations"]) == {deploy.before}


def test_a_candidate_whose_workers_hang_leaves_none_when_its_master_is_killed(site: Site) -> None:
    append(site.folder, HANGS_IN_WORKERS)
    with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
        deaths.VICTIMS["candidate_worker"](deploy)
        deaths.VICTIMS["candidate_master"](deploy).signal(signal.SIGKILL)
        deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert deploy.asker.returncode == 1
        demand_rest(site)
    demand_no_loss(load)


def test_a_deploy_after_a_death_in_the_drain_waits_its_turn(site: Site) -> None:
    """Its successor goes on with the drain, and never are more than three generations alive."""
    deaths.long_phases(site)
    with (
        deaths.deploying(site) as first,
        deaths.held_by_live(first, deaths.Row("controller", "drain")) as request,
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


def instants(number: int, longest: float) -> list[float]:
    seeded = random.Random(SEED)
    return [round(seeded.uniform(0, longest), 2) for _ in range(number)]


def some(moments: list[float], ordinary: int) -> list[object]:
    """All of them for `make soak`, the first of them elsewhere."""
    return [
        moment if at < ordinary else pytest.param(moment, marks=pytest.mark.soak)
        for at, moment in enumerate(moments)
    ]


def after(moment: float) -> None:
    """Let `moment` seconds go by: the instant is what the test is about."""
    began = time.monotonic()
    until(lambda: time.monotonic() - began >= moment)


@pytest.mark.parametrize("moment", some(instants(20, 1.5), 3))
def test_ctrl_c_at_any_instant_of_the_boot_leaves_nobody_behind(site: Site, moment: float) -> None:
    with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
        deploy.in_phase("boot")
        after(moment)
        deploy.asker.send_signal(signal.SIGINT)
        deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert deploy.asker.returncode == (0 if deploy.committed() else 130)
        demand_rest(site)
    demand_no_loss(load)


@pytest.mark.parametrize("moment", some(instants(40, 5.0), 2))
def test_a_controller_killed_at_any_instant_of_a_deploy(site: Site, moment: float) -> None:
    with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
        deploy.in_phase("build")
        after(moment)
        site.controller().signal(signal.SIGKILL)
        deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        demand_rest(site)
        assert deploy.asker.returncode == (0 if deploy.committed() else 1)
        assert deaths.history(site)[deploy.generation]["ok"] == deploy.committed()
        site.deploy("--wait")
    demand_no_loss(load)
