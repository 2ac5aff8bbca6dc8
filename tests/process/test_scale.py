"""More and fewer workers while the site is used: nobody notices, and the number lasts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.support import deaths
from tests.support.apps import Interface, make_app
from tests.support.bad import append, demand_good_error, demand_untouched
from tests.support.deaths import demand_rest, kill_controller
from tests.support.site import Outcome, Site, configure, demand_no_loss, serving, traffic, until
from tests.support.table import often

from segue.disk.processes import ProcessId, children_of

SETTINGS: dict[str, dict[str, Any]] = {
    "sync": {"workers": 3, "threads": 1},
    "gthread": {"workers": 2, "threads": 8},
    "asgi": {"workers": 2, "server": "gunicorn", "worker_class": "asgi"},
    "uvicorn": {"workers": 2, "server": "uvicorn"},
}
# what a database with few connections does to the worker that is one too many
FEW_CONNECTIONS = """
import fcntl
for place in range(int((HERE / "instance" / "connections").read_text())):
    CONNECTION = open(HERE / "instance" / f"connection.{place}", "w")
    try:
        fcntl.flock(CONNECTION, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except BlockingIOError:
        pass
else:
    raise RuntimeError("too many connections")
"""
HANGS_WHEN_TOLD = """
if (HERE / "instance" / "hang").exists() and "gunicorn" in __import__("sys").argv[0]:
    time.sleep(FOREVER)
"""
BROKEN_WHEN_TOLD = """
if (HERE / "instance" / "broken").exists():
    raise RuntimeError("no database")
"""

# one of each family in CI, and the rest in soak
servers = pytest.mark.parametrize("server", often(SETTINGS, "uvicorn"))


def interface(server: str) -> Interface:
    return "asgi" if server in ("asgi", "uvicorn") else "wsgi"


def project(tmp_path: Path, kind: Interface = "wsgi", **settings: Any) -> Path:
    folder = tmp_path / "project"
    make_app(folder, version="v1", interface=kind)
    configure(folder, **{"workers": 2, **settings})
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(project(tmp_path)) as site:
        yield site


def scale(site: Site, number: int) -> dict[str, Any]:
    outcome = site.segue("scale", str(number), "--json")
    assert outcome.code == 0, f"{outcome.out}\n{outcome.err}\n{site.keeper_log()}"
    demand_workers(site, number)
    return outcome.document


def command_of(process: ProcessId) -> str:
    return Path(f"/proc/{process.pid}/cmdline").read_text()


def demand_workers(site: Site, number: int) -> None:
    """It has exactly so many workers, and its master knows of no other."""
    assert len(site.live().ready_workers()) == number
    master = site.live().master()
    assert master is not None
    children = [one for one in children_of(master) if "resource_tracker" not in command_of(one)]
    assert len(children) == number, site.live().log_tail()
    assert site.segue("status", "--json").document["live"]["workers"] == number
    assert not (site.live().folder / "scaling.json").exists()


def demand_failed(outcome: Outcome, message: str) -> dict[str, Any]:
    assert outcome.code == 1, f"{outcome.out}\n{outcome.err}"
    error: dict[str, Any] = outcome.document["error"]
    demand_good_error(error)
    assert error["message"] == message
    return error


@contextmanager
def always_in_flight(url: str) -> Iterator[None]:
    """Two requests at any time, each on a connection of its own; each has to be answered."""
    over = Event()

    def ask() -> int:
        answers = 0
        while not over.is_set():
            assert deaths.fetch(url) == "slept"
            answers += 1
        return answers

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        try:
            yield
        finally:
            over.set()
        assert all(one.result() for one in asking)


@servers
def test_up_and_down_under_load_nothing_is_lost(tmp_path: Path, server: str) -> None:
    settings = {**SETTINGS[server], "linger": "1s", "ready_timeout": "60s"}
    with serving(project(tmp_path, interface(server), **settings)) as site:
        with traffic(f"{site.url}/") as load, always_in_flight(f"{site.url}/slow?seconds=2"):
            for number in (6, 4, 5, 3):
                assert scale(site, number)["cut"] == 0
        assert not site.live().crashes()
    demand_no_loss(load)


@servers
def test_the_number_survives_deploys_and_the_end_of_the_master(tmp_path: Path, server: str) -> None:
    with serving(project(tmp_path, interface(server), **SETTINGS[server])) as site:
        written = SETTINGS[server]["workers"]
        with traffic(f"{site.url}/") as load:
            scale(site, 4)
            make_app(site.folder, version="v2", interface=interface(server))
            note = f"{written} workers in the config, 4 by `segue scale`"
            assert note in site.deploy()["notes"]
            demand_workers(site, 4)
            assert note in site.segue("rollback", "--json").document["notes"]
            demand_workers(site, 4)
            master = site.live().master()
            assert master is not None
            master.signal(signal.SIGKILL)
            until(lambda: site.live().master() not in (master, None), what="the next master")
            until(lambda: len(site.live().ready_workers()) == 4, what="as many workers as before")
            demand_rest(site)
            demand_workers(site, 4)
            scale(site, written)
            assert note not in site.segue("restart", "--json").document["notes"]
            demand_workers(site, written)
        demand_no_loss(load)


def test_a_keeper_that_takes_over_keeps_the_number_and_a_fresh_one_goes_by_the_config(tmp_path: Path) -> None:
    folder = project(tmp_path)
    with ExitStack() as stack, serving(folder) as site:
        bind = site.bind
        scale(site, 4)
        controller = site.controller()
        site.process.kill()
        site.process.wait()
        until(lambda: not controller.alive(), what="the end of the controller")
        successor = stack.enter_context(serving(folder, bind=bind))
        demand_workers(successor, 4)
        make_app(folder, version="v2")
        successor.deploy("--wait")
        demand_workers(successor, 4)
    with serving(folder) as fresh:
        demand_workers(fresh, 2)


def test_the_same_number_is_nothing_to_do(site: Site) -> None:
    workers = site.live().ready_workers()
    assert "nothing to do" in site.segue("scale", "2").out
    assert site.live().ready_workers() == workers
    assert site.live().scaled() is None


def test_status_tells_who_chose_the_number(site: Site) -> None:
    scale(site, 3)
    assert "3 workers by `segue scale`" in site.segue("status").out


@pytest.mark.parametrize("number", ["0", "1001", "many", "1.5", "", "9" * 5000])
def test_what_is_no_number_of_workers_is_refused(site: Site, number: str) -> None:
    demand_untouched(site.folder, 2, "scale", number)


def test_without_a_keeper_it_is_refused(tmp_path: Path) -> None:
    demand_untouched(project(tmp_path), 3, "scale", "2")


def test_during_a_deploy_it_is_refused_and_waits_if_told_to(site: Site) -> None:
    deaths.long_phases(site, watch="60s", watch_limit="60s")
    with deaths.deploying(site) as deploy:
        deploy.in_phase("watch")
        demand_untouched(site.folder, 3, "scale", "3")
        waiting = site.ask("scale", "3", "--wait")
        site.segue("status")
        deploy.asker.send_signal(signal.SIGINT)
        deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        waiting.communicate(timeout=deaths.END_TIMEOUT)
        assert waiting.returncode == 0
        demand_workers(site, 3)


# what does not boot


def test_where_the_app_cannot_be_imported_any_more_no_worker_is_started(tmp_path: Path) -> None:
    folder = project(tmp_path)
    append(folder, BROKEN_WHEN_TOLD)
    with serving(folder) as site:
        master = site.live().master()
        (folder / "instance" / "broken").touch()
        with traffic(f"{site.url}/") as load:
            outcome = site.segue("scale", "4", "--json")
            assert outcome.code == 1
            assert "no database" in outcome.document["error"]["evidence"]
            demand_workers(site, 2)
        demand_no_loss(load)
        assert site.live().master() == master


def test_new_workers_that_hang_are_taken_away_and_the_old_ones_stay(tmp_path: Path) -> None:
    folder = project(tmp_path, ready_timeout="8s")
    append(folder, HANGS_WHEN_TOLD)
    with serving(folder) as site:
        workers = site.live().ready_workers()
        (folder / "instance" / "hang").touch()
        with traffic(f"{site.url}/") as load:
            demand_failed(site.segue("scale", "5", "--json"), "The new workers were not ready in time.")
            demand_workers(site, 2)
        demand_no_loss(load)
        assert site.live().ready_workers() == workers
        assert site.live().scaled() is None
        (folder / "instance" / "hang").unlink()
        scale(site, 4)


def test_a_worker_that_ends_its_master_costs_nobody_a_request(tmp_path: Path) -> None:
    """Gunicorn ends when a worker can't boot: another master has to come with as many workers as before."""
    folder = project(tmp_path)
    (folder / "instance" / "connections").write_text("9")
    append(folder, FEW_CONNECTIONS)
    with serving(folder) as site:
        # the old workers hold two; the import check takes the third, and a new worker; the next finds none
        (folder / "instance" / "connections").write_text("3")
        with traffic(f"{site.url}/slow?seconds=0.5", rate=2) as load:
            error = demand_failed(site.segue("scale", "5", "--json"), "A new worker could not boot.")
            assert "too many connections" in error["evidence"]
            demand_rest(site)
            until(lambda: len(site.live().ready_workers()) == 2, what="as many workers as before")
        demand_no_loss(load)
        assert site.live().scaled() is None


# who interrupts it


def test_a_supervisor_of_uvicorns_waits_for_no_worker_that_does_not_answer(tmp_path: Path) -> None:
    """It hears what it is told meanwhile, and sees it when that worker ends."""
    settings = {**SETTINGS["uvicorn"], "ready_timeout": "180s"}
    with serving(project(tmp_path, interface("uvicorn"), **settings)) as site:
        stuck = site.live().ready_workers()[0]
        os.kill(stuck, signal.SIGSTOP)
        assert scale(site, 3)["cut"] == 0
        os.kill(stuck, signal.SIGKILL)
        until(lambda: stuck not in (ready := site.live().ready_workers()) and len(ready) == 3, what="another")
        demand_workers(site, 3)


def slow_import(tmp_path: Path) -> Path:
    folder = project(tmp_path, ready_timeout="60s")
    make_app(folder, version="v1", import_seconds=2.0)
    return folder


def asked(site: Site, number: int) -> subprocess.Popen[str]:
    """Somebody asked for `number` workers, and the first signal was sent."""
    asker = site.ask("scale", str(number))
    until((site.live().folder / "scaling.json").exists, what="the beginning")
    return asker


def test_ctrl_c_takes_it_back(tmp_path: Path) -> None:
    with serving(slow_import(tmp_path)) as site, traffic(f"{site.url}/") as load:
        workers = site.live().ready_workers()
        asker = asked(site, 5)
        asker.send_signal(signal.SIGINT)
        asker.communicate(timeout=deaths.END_TIMEOUT)
        assert asker.returncode == 130
        demand_workers(site, 2)
        assert site.live().ready_workers() == workers
    demand_no_loss(load)


@pytest.mark.parametrize(("before", "goal"), [(2, 5), pytest.param(5, 2, marks=pytest.mark.soak)])
def test_whoever_asked_gets_it_though_the_controller_dies(tmp_path: Path, before: int, goal: int) -> None:
    with serving(slow_import(tmp_path)) as site, traffic(f"{site.url}/slow?seconds=1", rate=1) as load:
        if before != 2:
            scale(site, before)
        asker = asked(site, goal)
        kill_controller(site)
        out, err = asker.communicate(timeout=deaths.END_TIMEOUT)
        assert asker.returncode == 0, f"{out}\n{err}\n{site.keeper_log()}"
        demand_workers(site, goal)
        demand_rest(site)
    demand_no_loss(load)


def test_with_controller_and_asker_killed_it_comes_to_rest(tmp_path: Path) -> None:
    with serving(slow_import(tmp_path)) as site, traffic(f"{site.url}/") as load:
        asker = asked(site, 5)
        asker.kill()
        asker.communicate()
        kill_controller(site)
        site.segue("recover", "--wait")
        demand_workers(site, 2)
    demand_no_loss(load)


@pytest.mark.soak
def test_a_master_killed_in_the_middle_is_back_with_as_many_as_before(tmp_path: Path) -> None:
    with serving(slow_import(tmp_path)) as site, traffic(f"{site.url}/") as load:
        asker = asked(site, 4)
        master = site.live().master()
        assert master is not None
        master.signal(signal.SIGKILL)
        asker.communicate(timeout=deaths.END_TIMEOUT)
        assert asker.returncode == 1
        demand_workers(site, 2)
        demand_rest(site)
    demand_no_loss(load)
