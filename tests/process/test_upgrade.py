"""`segue up --upgrade`: the keeper is replaced by another, and whoever dies meanwhile, the app serves on."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support import deaths
from tests.support.apps import make_app
from tests.support.bad import up_refused
from tests.support.deaths import demand_nothing_left, demand_rest
from tests.support.site import SEGUE, Site, configure, demand_no_loss, serving, traffic, until
from tests.support.takeover import WITHOUT_PTRACE, listening_inode
from tests.support.versions import other_version

from segue.disk.processes import ProcessId, process

LEAVE_TIMEOUT = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    make_app(folder, version="quick")
    configure(folder, workers=2)
    return folder


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    with serving(folder) as site:
        yield site


@contextlib.contextmanager
def upgrading(site: Site) -> Iterator[subprocess.Popen[str]]:
    """A `segue up --upgrade` that has asked, and waits for what is under way to come to rest."""
    argv = (*SEGUE, "up", "--upgrade", "--bind", site.bind)
    with subprocess.Popen(
        argv, cwd=site.folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stderr is not None
            assert "comes to rest first" in process.stderr.readline()
            until(lambda: waits(process.pid), what="its wait for an answer")
            yield process
        finally:
            process.kill()


def waits(pid: int) -> bool:
    """Whether process `pid` waits for data from a unix socket (proc(5): what it sleeps in)."""
    return "unix_stream" in Path(f"/proc/{pid}/wchan").read_text()


def children_of(pid: int) -> list[ProcessId]:
    """The running children of process `pid`."""
    return deaths.workers_of(process(pid))


def ended(site: Site) -> str:
    """What the terminal of a keeper that has handed over says."""
    assert site.process.wait(LEAVE_TIMEOUT) == 0
    return site.log.read_text()


def test_a_keeper_of_another_version_is_replaced_and_nobody_notices(folder: Path, tmp_path: Path) -> None:
    """By one that the kernel gives no descriptor of another process."""
    with ExitStack() as stack:
        old = stack.enter_context(serving(folder, env=other_version(tmp_path)))
        refused = old.segue("deploy", "--json")
        assert (refused.code, refused.document["error"]["kind"]) == (3, "keeper_version")
        bind, master, inode = old.bind, old.live().master(), listening_inode(old.bind)
        with traffic(f"{old.url}/") as load:
            new = stack.enter_context(serving(folder, "--upgrade", bind=bind, prefix=WITHOUT_PTRACE))
            assert "another `segue up` takes over" in ended(old)
            assert (new.live().master(), listening_inode(bind)) == (master, inode)
            demand_rest(new)
            assert master is not None
            master.signal(signal.SIGKILL)
            until(lambda: new.live().master() not in (None, master), what="the next master")
            demand_rest(new)
            make_app(folder, version="next")
            new.deploy()
            assert deaths.fetch(f"{new.url}/") == "next"
            demand_rest(new)
        demand_no_loss(load)
    demand_nothing_left(old)


def test_an_upgrade_lets_a_deploy_finish_first(site: Site) -> None:
    deaths.long_phases(site, watch="8s")
    with ExitStack() as stack:
        with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
            deploy.in_phase("boot")
            new = stack.enter_context(serving(site.folder, "--upgrade", bind=site.bind))
            deploy.asker.communicate(timeout=LEAVE_TIMEOUT)
            assert deploy.asker.returncode == 0
            assert site.process.wait(LEAVE_TIMEOUT) == 0
            demand_rest(new)
            assert new.home.read_record().live == deploy.generation
        demand_no_loss(load)
    demand_nothing_left(site)


def test_an_upgrade_that_dies_right_after_the_old_keeper_left_is_made_good_by_the_next(site: Site) -> None:
    deaths.long_phases(site, watch="8s")
    bind = site.bind
    with ExitStack() as stack:
        with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
            deploy.in_phase("boot")
            with upgrading(site) as upgrade:
                upgrade.send_signal(signal.SIGSTOP)
                assert site.process.wait(LEAVE_TIMEOUT) == 0
            assert process(upgrade.pid) is None
            assert deaths.fetch(f"http://{bind}/") == "next"
            master = site.live().master()
            new = stack.enter_context(serving(site.folder, bind=bind))
            demand_rest(new)
            assert new.live().master() == master
        demand_no_loss(load)
    demand_nothing_left(site)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_upgrade_that_goes_away_while_it_waits_is_forgotten(site: Site, number: signal.Signals) -> None:
    deaths.long_phases(site, watch="8s")
    with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
        deploy.in_phase("boot")
        with upgrading(site) as upgrade:
            upgrade.send_signal(number)
            assert upgrade.wait(LEAVE_TIMEOUT) == (130 if number is signal.SIGINT else -number)
        deploy.asker.communicate(timeout=LEAVE_TIMEOUT)
        assert deploy.asker.returncode == 0
        site.deploy("--wait")
        demand_rest(site)
    demand_no_loss(load)


def test_an_upgrade_outlives_the_controller_that_it_asked(site: Site) -> None:
    deaths.long_phases(site, watch="8s")
    with ExitStack() as stack:
        with traffic(f"{site.url}/") as load, deaths.deploying(site) as deploy:
            deploy.in_phase("boot")
            with upgrading(site) as upgrade:
                site.controller().signal(signal.SIGKILL)
                assert site.process.wait(LEAVE_TIMEOUT) == 0
                until(lambda: site.controller() in children_of(upgrade.pid), what="its announcement")
                upgrade.kill()
            new = stack.enter_context(serving(site.folder, bind=site.bind))
            demand_rest(new)
            assert new.home.read_record().live == deploy.before
        demand_no_loss(load)


def test_an_upgrade_to_another_address_is_refused(site: Site) -> None:
    with traffic(f"{site.url}/") as load:
        refused = up_refused(site.folder, 3, "--upgrade", "--bind", "127.0.0.1:1")
        message = f"The keeper serves {site.bind}, and its successor would serve 127.0.0.1:1."
        assert f"error: {message}\n" in refused.err
        assert f"hint: give `--bind {site.bind}`" in refused.err
        assert site.controller().alive()
    demand_no_loss(load)


def test_an_upgrade_without_a_keeper_is_refused(folder: Path) -> None:
    refused = up_refused(folder, 3, "--upgrade")
    assert "error: There is no keeper of " in refused.err
    assert not (folder / ".segue").exists()
