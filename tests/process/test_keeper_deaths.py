"""Deaths and stops apart from the table: at rest, at the first deploy, at instants between two writes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support import deaths
from tests.support.apps import make_app
from tests.support.bad import append
from tests.support.deaths import Deploy, demand_rest
from tests.support.site import Site, configure, demand_no_loss, serving, traffic, until

from segue.core.record import Phase, Record
from segue.deploy.releases import Releases, State
from segue.disk.home import Home
from segue.disk.processes import ProcessId

CRASHES_WHEN_TOLD = """
if (HERE / "instance" / "broken").exists():
    raise RuntimeError("broken")
"""
HANGS_IN_WORKERS = """
import sys
if "gunicorn" in sys.argv[0]:
    time.sleep(FOREVER)
"""
LEAVE_TIMEOUT = 40.0
SEED = 20261121


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "project"
    make_app(folder, version="quick")
    configure(folder, workers=2)
    with serving(folder) as site:
        yield site


def broken(site: Site) -> Path:
    return site.folder / "instance" / "broken"


def running_master(site: Site) -> ProcessId | None:
    master = site.live().master()
    return master if master is not None and master.alive() else None


def kill_live_master(site: Site) -> ProcessId:
    master = running_master(site)
    assert master is not None
    master.signal(signal.SIGKILL)
    return master


def kill_controller(site: Site) -> None:
    """Kill it, and wait until its successor has said so."""
    controller = site.controller()
    assert controller.signal(signal.SIGKILL)
    until(lambda: site.controller() != controller, what="the successor")


# at rest


def test_a_live_master_that_dies_is_started_again_and_nobody_notices(site: Site) -> None:
    with traffic(f"{site.url}/") as load:
        before = kill_live_master(site)
        until(lambda: running_master(site) not in (None, before), what="the next master")
        demand_rest(site)
    demand_no_loss(load)


def test_workers_without_a_master_leave_though_nobody_asks_them_anything(site: Site) -> None:
    kill_live_master(site)
    demand_rest(site)


def test_a_live_master_that_crash_loops_is_started_ever_more_slowly_until_it_stays(site: Site) -> None:
    append(site.folder, CRASHES_WHEN_TOLD)
    site.deploy()
    with traffic(f"{site.url}/", rate=20) as load:
        broken(site).touch()
        kill_live_master(site)
        until(lambda: "next try in 0.8 s" in site.keeper_log(), what="the third try")
        broken(site).unlink()
        demand_rest(site)
    demand_no_loss(load)


def test_a_deploy_mends_a_live_release_that_crash_loops(site: Site) -> None:
    append(site.folder, CRASHES_WHEN_TOLD)
    site.deploy()
    with traffic(f"{site.url}/", rate=20) as load:
        broken(site).touch()
        kill_live_master(site)
        make_app(site.folder, version="mended")
        site.deploy()
        demand_rest(site)
    assert "refused" not in load.report["failures"]
    assert deaths.fetch(f"{site.url}/") == "mended"


def test_three_controllers_die_in_a_row_and_a_deploy_works(site: Site) -> None:
    with traffic(f"{site.url}/") as load:
        for _ in range(3):
            kill_controller(site)
        site.deploy("--wait")
        demand_rest(site)
    demand_no_loss(load)


def test_three_controllers_die_in_a_row_and_the_deploy_is_taken_back(site: Site) -> None:
    deaths.long_phases(site)
    with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
        deploy.in_phase("watch")
        for _ in range(3):
            kill_controller(site)
        deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert deploy.asker.returncode == 1
        demand_rest(site)
        assert site.home.read_record().live == deploy.before
    demand_no_loss(load)


def test_with_its_whole_keeper_killed_the_live_generation_serves_on(site: Site) -> None:
    url, master, controller = site.url, site.live().master(), site.controller()
    assert master is not None
    with traffic(f"{url}/") as load:
        site.process.kill()
        site.process.wait()
        until(lambda: not controller.alive(), what="the end of the controller")
        assert deaths.fetch(f"{url}/") == "quick"
    demand_no_loss(load)
    assert master.alive()


# the first deploy


def test_a_controller_that_dies_in_the_first_deploy_has_a_successor_that_does_it(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="first", import_seconds=deaths.IMPORT)
    configure(folder, workers=2)
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_in_first_deploy, Home(folder))
        with serving(folder) as site:
            killed.result()
            demand_rest(site)
            assert deaths.fetch(f"{site.url}/") == "first"
            assert sorted(receipt["ok"] for receipt in deaths.history(site).values()) == [False, True]


def kill_in_first_deploy(home: Home) -> None:
    until(lambda: home.read_record().phase is Phase.BOOT, what="boot")
    keeper = home.read_keeper()
    assert keeper is not None
    assert ProcessId(keeper["pid"], keeper["started"]).signal(signal.SIGKILL)


# told to stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_drains_and_leaves_nothing(site: Site, number: signal.Signals) -> None:
    with deaths.in_flight(site, 2.0) as request:
        held(site)
        os.kill(site.process.pid, number)
        assert site.process.wait(LEAVE_TIMEOUT) == 0
        assert deaths.answered(request)
    demand_nothing_left(site)


def test_a_second_stop_leaves_at_once(site: Site) -> None:
    with deaths.in_flight(site, 60.0) as request:
        held(site)
        os.kill(site.process.pid, signal.SIGTERM)
        until(lambda: "draining" in site.keeper_log(), what="the drain")
        os.kill(site.process.pid, signal.SIGTERM)
        assert site.process.wait(5) == 0
        assert not deaths.answered(request)
    demand_nothing_left(site)


def test_a_stop_reaches_the_successor_of_a_controller_that_died(site: Site) -> None:
    with deaths.in_flight(site, 2.0) as request:
        held(site)
        site.controller().signal(signal.SIGKILL)
        os.kill(site.process.pid, signal.SIGTERM)
        assert site.process.wait(LEAVE_TIMEOUT) == 0
        assert deaths.answered(request)
    demand_nothing_left(site)


@pytest.mark.parametrize(
    "phase",
    [
        phase if phase in ("build", "boot", "watch", "drain") else pytest.param(phase, marks=pytest.mark.soak)
        for phase in deaths.PHASES
    ],
)
def test_a_stop_during_a_deploy_ends_it_first(site: Site, phase: str) -> None:
    deaths.long_phases(site)
    with (
        deaths.deploying(site) as deploy,
        deaths.held_by_live(deploy, deaths.Row("keeper", phase)) as request,
    ):
        deploy.in_phase(phase)
        os.kill(site.process.pid, signal.SIGTERM)
        deploy.asker.communicate(timeout=LEAVE_TIMEOUT)
        assert site.process.wait(LEAVE_TIMEOUT) == 0
        assert deaths.answered(request)
    record, receipt = site.home.read_record(), deaths.history(site)[deploy.generation]
    assert record == Record(previous=deploy.generation if receipt["ok"] else deploy.before)
    assert deploy.asker.returncode == (0 if receipt["ok"] else 130)
    assert receipt["ok"] == (phase in deaths.AFTER_COMMIT) or phase == "commit"
    demand_nothing_left(site)


def held(site: Site) -> None:
    """Wait until the app holds a request."""

    def holds() -> bool:
        counts = site.live().counts()
        return counts.started > counts.finished

    until(holds, what="a request in flight")


def demand_nothing_left(site: Site) -> None:
    until(lambda: not deaths.left(site), what=f"the end of {deaths.left(site)}")
    record = site.home.read_record()
    assert (record.live, record.candidate, record.phase) == (None, None, Phase.REST)


# between two writes


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
