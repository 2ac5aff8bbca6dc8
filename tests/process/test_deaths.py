"""Whoever dies, whenever: nothing is lost but what a killed worker held, and all comes to rest by itself."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.support import deaths, torture, victims
from tests.support.deaths import Deploy, demand_rest
from tests.support.site import Site, traffic, until
from tests.support.torture import HELD, Tell
from tests.support.victims import Row

# what CI runs, and three others by lot; the rest is for `make torture`
TELLING: dict[str, dict[str, tuple[str, ...]]] = {
    "sync": {
        "controller": ("build", "boot", "switch", "watch", "drain"),
        "asker": ("drain",),
        "ctrl_c": ("boot", "drain"),
        "candidate_master": ("watch",),
        "candidate_worker": ("ready",),
        "live_master": ("boot", "drain"),
        "live_worker": ("watch",),
    },
    "uvicorn": {
        "controller": ("watch",),
        "candidate_master": ("boot",),
        "candidate_worker": ("watch",),
        "live_master": ("drain",),
    },
}
ALWAYS = [
    Row(server, victim, phase)
    for server, whom in TELLING.items()
    for victim, phases in whom.items()
    for phase in phases
]
BY_LOT = 3


Keep = Callable[[str], Site]


@pytest.fixture(scope="module")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keep]:
    """One keeper for all rows in a row with the same server: each leaves it at rest."""
    with ExitStack() as stack:
        kept: dict[str, Site] = {}

        def site(server: str) -> Site:
            if server not in kept:
                stack.close()
                kept.clear()
                kept[server] = stack.enter_context(
                    victims.served(tmp_path_factory.mktemp("deaths") / "project", server)
                )
            return kept[server]

        yield site


@pytest.mark.torture
@pytest.mark.parametrize("row", torture.rows(victims.ROWS, ALWAYS, BY_LOT))
def test_death(keep: Keep, row: Row, tell: Tell) -> None:
    told, kept = tell(row.server, victims.deed(row), row.phase), keep(row.server)
    settings = victims.settings(row.server)
    deaths.long_phases(kept, **{**settings, **victims.longer(row)})
    with traffic(f"{kept.url}/", rate=torture.RATE) as load:
        with deaths.deploying(kept) as deploy, deaths.held_by_live(deploy, row.phase) as request:
            deploy.in_phase(row.phase)
            victim = victims.VICTIMS[row.victim](deploy)
            could_hold = victims.could_hold(row, victim)
            victims.kill(row, victim)
            out, err = deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
            demand_rest(kept)
            told.rest = demand_verdict(deploy, row, f"{out}\n{err}\n{kept.keeper_log()[-3000:]}")
        deaths.no_phases(kept, **settings)
        kept.deploy()
        assert deaths.fetch(f"{kept.url}/") == "quick"
    assert "refused" not in load.report["failures"]
    told.count(load, [request], could_hold, HELD)


@pytest.mark.torture
@pytest.mark.parametrize("row", torture.rows(victims.ROWS_AT_REST, victims.ROWS_AT_REST[:3], 1))
def test_death_at_rest(keep: Keep, row: Row, tell: Tell) -> None:
    told, kept = tell(row.server, victims.deed(row), "at rest"), keep(row.server)
    with traffic(f"{kept.url}/", rate=torture.RATE) as load:
        victim = victims.AT_REST[row.victim](kept)
        could_hold = victims.could_hold(row, victim)
        victims.kill(row, victim)
        until(lambda: not victim.alive(), what="its end")
        demand_rest(kept)
        told.rest = "the same release serves"
        deaths.no_phases(kept, **victims.settings(row.server))
        kept.deploy("--wait")
    assert "refused" not in load.report["failures"]
    told.count(load, allowed=could_hold, limit=HELD)


def demand_verdict(deploy: Deploy, row: Row, evidence: str) -> str:
    """Committed or taken back: the asker, the record, the app and the history say the same."""
    site, committed = deploy.site, deploy.committed()
    assert committed in victims.verdicts(row), evidence
    assert deploy.asker.returncode == victims.exit_code(row, committed=committed), evidence
    assert site.home.read_record().live == (deploy.generation if committed else deploy.before)
    assert deaths.fetch(f"{site.url}/") == ("next" if committed else "quick")
    assert deaths.history(site)[deploy.generation]["ok"] == committed
    return deaths.SERVES[committed]


def test_what_a_killed_worker_held_is_lost_and_counted(keep: Keep) -> None:
    kept = keep("sync")
    deaths.long_phases(kept, **victims.settings("sync"))
    with deaths.deploying(kept) as deploy, deaths.held_by_live(deploy, "drain") as request:
        deploy.in_phase("drain")
        deaths.holder(kept.generation(deploy.before)).signal(signal.SIGKILL)
        out, _ = deploy.asker.communicate(timeout=deaths.END_TIMEOUT)
        assert not deaths.answered(request)
    assert json.loads(out)["cut"] == 1
    demand_rest(kept)
