"""Whoever dies, whenever: nothing is lost but what a killed worker held, and all comes to rest by itself."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
from tests.support import deaths
from tests.support.apps import make_app
from tests.support.deaths import Deploy, Row, demand_rest
from tests.support.site import Site, configure, serving, traffic

THREADS = {"sync": 1, "gthread": 4}

# the rest of the table is for `make soak`
TELLING = [
    Row(victim, phase)
    for victim, phases in {
        "controller": ("build", "import", "boot", "ready", "switch", "watch", "commit", "drain", "prune"),
        "asker": ("boot", "drain"),
        "ctrl_c": ("boot", "watch", "drain"),
        "candidate_master": ("boot", "watch", "drain"),
        "candidate_worker": ("ready", "watch"),
        "live_master": ("boot", "watch", "drain"),
        "live_worker": ("watch",),
    }.items()
    for phase in phases
]


@pytest.fixture(scope="module")
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One keeper for all rows with the same kind of worker: each leaves it at rest."""
    folder = tmp_path_factory.mktemp("deaths") / "project"
    make_app(folder, version="quick")
    configure(folder, threads=THREADS[request.param], workers=2)
    with serving(folder) as site:
        yield site


@pytest.mark.parametrize("kept", ["sync"], indirect=True, scope="module")
@pytest.mark.parametrize("row", TELLING, ids=str)
def test_death(kept: Site, row: Row) -> None:
    survive(kept, row, threads=THREADS["sync"])


@pytest.mark.soak
@pytest.mark.parametrize("kept", list(THREADS), indirect=True, scope="module")
@pytest.mark.parametrize("row", deaths.ROWS, ids=str)
def test_every_death(kept: Site, row: Row, request: pytest.FixtureRequest) -> None:
    survive(kept, row, threads=THREADS[request.node.callspec.params["kept"]])


def survive(site: Site, row: Row, *, threads: int) -> None:
    """One row of the table."""
    deaths.long_phases(site, threads=threads)
    with traffic(f"{site.url}/") as load:
        with deaths.deploying(site) as deploy, deaths.held_by_live(deploy, row) as request:
            deploy.in_phase(row.phase)
            victim = deaths.VICTIMS[row.victim](deploy)
            could_hold = deaths.could_hold(row, victim, threads=threads)
            deaths.kill(row, victim)
            out, err = deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
            demand_rest(site)
            demand_verdict(deploy, row, f"{out}\n{err}\n{site.keeper_log()[-3000:]}")
            lost = 0 if deaths.answered(request) else 1
        deaths.no_phases(site, threads=threads)
        site.deploy()
        assert deaths.fetch(f"{site.url}/") == "quick"
    lost += load.lost
    print(f"{row}: lost {lost}, could hold {could_hold}")
    assert "refused" not in load.report["failures"]
    assert lost <= could_hold, json.dumps(load.report["samples"], indent=1)


def demand_verdict(deploy: Deploy, row: Row, evidence: str) -> None:
    """Committed or taken back: the asker, the record, the app and the history say the same."""
    site, committed = deploy.site, deploy.committed()
    assert committed in deaths.verdicts(row), evidence
    assert deploy.asker.returncode == deaths.exit_code(row, committed=committed), evidence
    assert site.home.read_record().live == (deploy.generation if committed else deploy.before)
    assert deaths.fetch(f"{site.url}/") == ("next" if committed else "quick")
    assert deaths.history(site)[deploy.generation]["ok"] == committed


@pytest.mark.parametrize("kept", ["sync"], indirect=True, scope="module")
def test_what_a_killed_worker_held_is_lost_and_counted(kept: Site) -> None:
    deaths.long_phases(kept)
    with deaths.deploying(kept) as deploy, deaths.held_by_live(deploy, Row("worker", "drain")) as request:
        deploy.in_phase("drain")
        deaths.holder(kept.generation(deploy.before)).signal(signal.SIGKILL)
        out, _ = deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert not deaths.answered(request)
    assert json.loads(out)["cut"] == 1
    demand_rest(kept)
