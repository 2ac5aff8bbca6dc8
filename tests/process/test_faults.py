"""Whatever the machine refuses, users notice nothing, and all comes to rest once it gives again."""

from __future__ import annotations

import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.support import deaths, faults, torture, victims
from tests.support.bad import append
from tests.support.deaths import Deploy, demand_rest
from tests.support.site import Site, traffic, until
from tests.support.table import often
from tests.support.torture import Tell, Told

pytestmark = [pytest.mark.torture, pytest.mark.timeout(600)]

NEEDS_MUCH = """
import sys
if "import" not in sys.argv[1:]:
    time.sleep(1.0)
    MUCH = bytearray(400 << 20)
"""
FOR_A_MASTER = 150 << 20
MANY = 20

Fault = Callable[[Site], AbstractContextManager[None]]


def disk_full(site: Site) -> AbstractContextManager[None]:
    return faults.full(site.folder.parent)


def nothing_written(site: Site) -> AbstractContextManager[None]:
    return faults.limited(site.controller(), resource.RLIMIT_FSIZE, 0)


def no_descriptors(site: Site) -> AbstractContextManager[None]:
    return faults.limited(site.controller(), resource.RLIMIT_NOFILE, 0)


FAULTS: dict[str, tuple[str, Fault]] = {
    "disk": ("disk full", disk_full),
    "writes": ("no writes by the keeper (RLIMIT_FSIZE)", nothing_written),
    "descriptors": ("no descriptors for the keeper", no_descriptors),
}
MET_IN = ("build", "import", "boot", "ready", "watch", "drain")
IN_CI = (("sync", "disk", "watch"), ("sync", "descriptors", "drain"), ("uvicorn", "writes", "boot"))


@pytest.fixture
def folder(tmp_path: Path, fault: str) -> Iterator[Path]:
    """Where the project is to be: on a small disk where the test fills it."""
    if fault == "disk":
        with faults.small_disk(tmp_path / "disk") as disk:
            yield disk / "project"
    else:
        yield tmp_path / "project"


def params() -> list[object]:
    rows = [(server, fault, phase) for server in victims.WHOLE for fault in FAULTS for phase in MET_IN]
    return [pytest.param(*row, marks=() if row in IN_CI else pytest.mark.soak) for row in rows]


@pytest.mark.parametrize(("server", "fault", "phase"), params())
def test_a_deploy_meets_it(folder: Path, server: str, fault: str, phase: str, tell: Tell) -> None:
    name, begin = FAULTS[fault]
    told = tell(server, name, phase)
    with victims.served(folder, server) as site:
        deaths.long_phases(site, **victims.settings(server))
        with traffic(f"{site.url}/", rate=torture.RATE) as load:
            with deaths.deploying(site) as deploy, deaths.held_by_live(deploy, phase) as request:
                deploy.in_phase(phase)
                with begin(site):
                    out, err = deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
                demand_rest(site)
                demand_one_story(deploy, told, f"{out}\n{err}\n{site.keeper_log()[-3000:]}")
            demand_a_deploy_works(site, server)
        told.count(load, [request])


def demand_one_story(deploy: Deploy, told: Told, evidence: str) -> None:
    """The record, the app, and what was said and written of the deploy agree; nobody was asked again."""
    site, committed = deploy.site, deploy.committed()
    assert (deploy.asker.returncode == 0) == committed, evidence
    assert site.home.read_record().live == (deploy.generation if committed else deploy.before)
    assert deaths.fetch(f"{site.url}/") == ("next" if committed else "quick")
    receipt = until(lambda: deaths.history(site).get(deploy.generation), what="its receipt")
    assert receipt["ok"] == committed
    told.rest = f"{deaths.SERVES[committed]}; asker ended with {deploy.asker.returncode}"


def demand_a_deploy_works(site: Site, server: str) -> None:
    deaths.no_phases(site, **victims.settings(server))
    site.deploy()
    assert deaths.fetch(f"{site.url}/") == "quick"


@pytest.mark.parametrize("fault", often(["disk", "writes", "descriptors"], "disk"))
@pytest.mark.parametrize("server", often(victims.WHOLE, "sync"))
def test_a_worker_dies_meanwhile(folder: Path, server: str, fault: str, tell: Tell) -> None:
    """Its master, which is no keeper, starts another."""
    name, begin = FAULTS[fault]
    told = tell(server, f"{name}, and a live worker is ended", "at rest")
    with victims.served(folder, server) as site, traffic(f"{site.url}/", rate=torture.RATE) as load:
        before = deaths.workers_of(site.live().master())
        with begin(site):
            before[0].signal(signal.SIGTERM)
            until(lambda: not before[0].alive(), what="its end")
            until(lambda: len(deaths.workers_of(site.live().master())) == len(before), what="another")
        demand_rest(site)
        demand_a_deploy_works(site, server)
    told.rest = deaths.SERVES[True]
    told.count(load)


@pytest.mark.parametrize("fault", ["disk"])
def test_the_controller_dies_while_the_disk_is_full(folder: Path, fault: str, tell: Tell) -> None:
    told = tell("sync", "disk full, and kill -9: controller", "at rest")
    with victims.served(folder, "sync") as site, traffic(f"{site.url}/", rate=torture.RATE) as load:
        with faults.full(folder.parent):
            controller = site.controller()
            controller.signal(signal.SIGKILL)
            until(lambda: "starting another" in site.keeper_log(), what="its successor")
        until(lambda: site.controller() != controller, what="word of the successor")
        demand_rest(site)
        demand_a_deploy_works(site, "sync")
    told.rest = deaths.SERVES[True]
    told.count(load)


@pytest.mark.parametrize("server", often(victims.WHOLE, "sync"))
def test_a_candidate_is_killed_for_want_of_memory(tmp_path: Path, server: str, tell: Tell) -> None:
    told = tell(server, "the candidate is killed for want of memory", "boot")
    with (
        victims.served(tmp_path / "project", server) as site,
        faults.little_memory(FOR_A_MASTER) as group,
    ):
        deaths.long_phases(site, **{**victims.settings(server), "ready_timeout": "15s"})
        append(site.folder, NEEDS_MUCH)
        with traffic(f"{site.url}/", rate=torture.RATE) as load:
            with deaths.deploying(site) as deploy, deaths.held_by_live(deploy, "boot") as request:
                master = victims.VICTIMS["candidate_master"](deploy)
                for process in (master, *deaths.workers_of(master)):
                    (group / "cgroup.procs").write_text(str(process.pid))
                out, err = deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
                assert "oom_kill 0" not in (group / "memory.oom_control").read_text()
                demand_rest(site)
                demand_one_story(deploy, told, f"{out}\n{err}")
                assert deploy.asker.returncode == 1
            demand_a_deploy_works(site, server)
        told.count(load, [request])


@pytest.mark.parametrize("words", often([("deploy",), ("deploy", "--wait")], ("deploy",)), ids=" ".join)
def test_twenty_deploys_are_asked_for_at_once(tmp_path: Path, words: tuple[str, ...], tell: Tell) -> None:
    told = tell("sync", f"{MANY} times `segue {' '.join(words)}` at once", "at rest")
    with victims.served(tmp_path / "project", "sync") as site:
        deaths.no_phases(site, **victims.settings("sync"))
        known = set(deaths.history(site))
        with traffic(f"{site.url}/", rate=torture.RATE) as load:
            askers = [site.ask(*words, "--json") for _ in range(MANY)]
            for asker in askers:
                asker.communicate(timeout=300)
            demand_rest(site)
            demand_a_deploy_works(site, "sync")
        codes = Counter(asker.returncode for asker in askers)
        assert set(codes) <= ({0} if "--wait" in words else {0, 3})
        made = {name: receipt for name, receipt in deaths.history(site).items() if name not in known}
        assert codes[0] + 1 == len(made)
        assert all(receipt["ok"] for receipt in made.values())
        told.rest = f"the last one serves; {codes[0]} went through, {codes[3]} were refused"
        told.count(load)
