"""A keeper that is told to stop drains, ends what is under way first, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import deaths
from tests.support.apps import make_app
from tests.support.deaths import demand_nothing_left
from tests.support.site import SEGUE, Site, configure, serving, until

from segue.core.errors import Interrupted
from segue.core.record import Phase, Record
from segue.disk.home import Home

LEAVE_TIMEOUT = 60.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "project"
    make_app(folder, version="quick")
    configure(folder, workers=2)
    with serving(folder) as site:
        yield site


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
        assert site.process.wait(10) == 0
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
    deaths.long_phases(site, watch="15s" if phase == "watch" else deaths.WATCH)
    with (
        deaths.deploying(site) as deploy,
        deaths.held_by_live(deploy, phase) as request,
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


@pytest.mark.parametrize("numbers", [(signal.SIGINT,), (signal.SIGINT, signal.SIGTERM)])
def test_a_stop_before_anything_serves_is_an_interruption(
    tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    """Once asks for the first release to be taken back, twice does not wait for that."""
    folder = (tmp_path / "project").resolve()
    make_app(folder, version="endless", import_hang=True)
    configure(folder)
    home = Home(folder)
    argv = (*SEGUE, "up", "--bind", f"unix:{tmp_path}/web.sock")
    with subprocess.Popen(argv, cwd=folder, start_new_session=True) as up:
        until(lambda: home.read_record().phase is Phase.IMPORT, what="the import")
        up.send_signal(signal.SIGSTOP)  # a second one that came later might find nothing left to interrupt
        for number in numbers:
            up.send_signal(number)
        up.send_signal(signal.SIGCONT)
        assert up.wait(LEAVE_TIMEOUT) == Interrupted.exit_code
    assert home.read_record() == Record()
    assert not (tmp_path / "web.sock").exists()
    until(lambda: not deaths.processes_in(folder), what="the end of all of them")
