"""Deaths that no deploy is needed for: at rest, at the first start, and of the whole keeper."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support import deaths
from tests.support.apps import make_app
from tests.support.bad import append
from tests.support.deaths import demand_nothing_left, demand_rest, kill_controller
from tests.support.site import Site, configure, demand_no_loss, serving, traffic, until
from tests.support.takeover import kill_keeper

from segue.core.errors import Refused, Stranded
from segue.core.record import Phase
from segue.disk.home import Home
from segue.disk.processes import ProcessId

CRASHES_WHEN_TOLD = """
if (HERE / "instance" / "broken").exists():
    raise RuntimeError("broken")
"""


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
    deaths.long_phases(site, watch="15s")
    with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
        deploy.in_phase("watch")
        for _ in range(3):
            kill_controller(site)
        deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert deploy.asker.returncode == 1
        demand_rest(site)
        assert site.home.read_record().live == deploy.before
    demand_no_loss(load)


def test_with_its_whole_keeper_killed_the_generation_serves_on_and_the_next_keeper_takes_it_over(
    site: Site,
) -> None:
    bind, master = site.bind, site.live().master()
    with ExitStack() as stack:
        with traffic(f"{site.url}/") as load:
            kill_keeper(site)
            assert deaths.fetch(f"http://{bind}/") == "quick"
            successor = stack.enter_context(serving(site.folder, bind=bind))
            assert successor.live().master() == master
            demand_rest(successor)
            make_app(site.folder, version="next")
            successor.deploy("--wait")
            assert deaths.fetch(f"{successor.url}/") == "next"
        demand_no_loss(load)
    demand_nothing_left(site)


def test_a_keeper_killed_in_a_deploy_has_a_successor_that_takes_it_back(site: Site) -> None:
    bind = site.bind
    deaths.long_phases(site, watch="15s")
    with ExitStack() as stack:
        with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
            deploy.in_phase("watch")
            kill_keeper(site)
            deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
            # nobody has taken it back yet: that is for somebody to look at
            assert deploy.asker.returncode == 5
            successor = stack.enter_context(serving(site.folder, bind=bind))
            demand_rest(successor)
            assert successor.home.read_record().live == deploy.before
            assert deaths.history(successor)[deploy.generation]["ok"] is False
        demand_no_loss(load)


def test_a_keeper_of_another_address_drains_what_a_killed_one_left(site: Site) -> None:
    master = site.live().master()
    assert master is not None
    kill_keeper(site)
    with serving(site.folder, bind="127.0.0.2:0") as successor:
        demand_rest(successor)
        assert not master.alive()
        assert deaths.fetch(f"{successor.url}/") == "quick"


# the first deploy


def test_a_controller_that_dies_in_the_first_deploy_has_a_successor_that_does_it(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="first", import_seconds=3.0)
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


def test_a_successor_knows_itself_by_a_damaged_announcement(tmp_path: Path) -> None:
    make_app(tmp_path / "project", version="first")
    configure(tmp_path / "project")
    with serving(tmp_path / "project") as site:
        before, controller = site.home.read_record(), site.controller()
        with traffic(f"{site.url}/") as load:
            site.home.keeper.write_text("{}")
            assert site.segue("deploy").code == Refused.exit_code
            controller.signal(signal.SIGKILL)
            until(lambda: site.home.keeper.read_text() != "{}", what="the successor")
            assert site.home.read_record() == before
            site.deploy()
        demand_no_loss(load)


def test_a_generation_whose_master_nobody_knows_serves_on_until_its_file_is_mended(tmp_path: Path) -> None:
    make_app(tmp_path / "project", version="first")
    configure(tmp_path / "project")
    with serving(tmp_path / "project") as site:
        file, controller = site.live().folder / "master.json", site.controller()
        known = file.read_text()
        with traffic(f"{site.url}/") as load:
            file.write_text("{")
            stranded = site.segue("recover", "--json")
            assert (stranded.code, stranded.document["error"]["message"]) == (5, f"{file} is damaged.")
            controller.signal(signal.SIGKILL)
            until(lambda: site.controller() != controller, what="the successor")
            assert site.segue("deploy").code == Stranded.exit_code
            file.write_text(known)
            assert site.segue("recover").code == 0
            assert site.at_rest()
            site.deploy()
        demand_no_loss(load)


def test_a_generation_whose_start_is_damaged_serves_on_and_is_replaced(tmp_path: Path) -> None:
    make_app(tmp_path / "project", version="first")
    configure(tmp_path / "project")
    with serving(tmp_path / "project") as site:
        with traffic(f"{site.url}/") as load:
            (site.live().folder / "start.json").write_text("[]")
            site.deploy()
        demand_no_loss(load)
