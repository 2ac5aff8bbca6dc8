"""P2: nobody waits for the import, however long it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.plain import plain_gunicorn
from tests.support.race import SHORTEST_LIMIT, unspoilt, wait_limit
from tests.support.site import Traffic, configure, demand_no_loss, serving, traffic

SHORT, LONG, LONGEST = 1.0, 4.0, 10.0
WORKERS = 2
THREADS = {"sync": 1, "gthread": 4}

servers = pytest.mark.parametrize("server", ["sync", "gthread"])


def under_load(url: str, act: Callable[[], object]) -> Traffic:
    """The traffic, 100 requests a second with half of them kept alive, through `act`."""
    with traffic(f"{url}/") as load:
        act()
    return load


def lag(load: Traffic) -> float:
    """How late the probe itself was, in seconds."""
    return float(load.report["lag_ms"]) / 1000


def longest_wait(load: Traffic) -> float:
    """The longest that any request took, in seconds."""
    return float(load.report["latency_ms"]["max"]) / 1000


def demand_no_pause(load: Traffic, import_seconds: float) -> None:
    """The assertion: no request lost, and none waited longer than 250 ms or a tenth of the import."""
    demand_no_loss(load)
    limit, longest = wait_limit(import_seconds), longest_wait(load)
    assert longest < limit, f"waited {longest:.3f} s, over the limit of {limit} s"


@servers
@pytest.mark.parametrize(
    "import_seconds",
    [
        pytest.param(SHORT, marks=pytest.mark.soak),
        LONG,
        pytest.param(LONGEST, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ],
)
def test_a_deploy_makes_nobody_wait_for_its_import(
    tmp_path: Path, server: str, import_seconds: float
) -> None:
    """The new release imports beside the traffic, and the longest wait stays under the limit."""
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    configure(folder, workers=WORKERS, threads=THREADS[server], ready_timeout="90s")
    with serving(folder) as site:
        make_app(folder, version="v2", import_seconds=import_seconds)

        def deploy_under_load() -> Traffic:
            load = under_load(site.url, site.deploy)
            demand_no_loss(load)
            return load

        def doubt(load: Traffic) -> float:
            """How far the waits are to be doubted: a probe that is late makes them longer, never shorter."""
            return 0.0 if longest_wait(load) < wait_limit(import_seconds) else lag(load)

        demand_no_pause(unspoilt(deploy_under_load, doubt), import_seconds)


@servers
def test_a_plain_hup_fails_the_same_assertion_by_its_pause(tmp_path: Path, server: str) -> None:
    """Every request that comes during the import waits for its end."""
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    with plain_gunicorn(folder, workers=WORKERS, threads=THREADS[server]) as plain:
        make_app(folder, version="v2", import_seconds=LONG)
        load = under_load(plain.url, plain.hup)
    with pytest.raises(AssertionError, match=r"^waited .* over the limit"):
        demand_no_pause(load, LONG)
    assert longest_wait(load) > LONG - SHORTEST_LIMIT


@servers
def test_a_naive_restart_fails_the_same_assertion_by_its_losses(tmp_path: Path, server: str) -> None:
    """Between the stop and the start nobody listens."""
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    with plain_gunicorn(folder, workers=WORKERS, threads=THREADS[server]) as plain:
        make_app(folder, version="v2", import_seconds=SHORT)
        load = under_load(plain.url, plain.restart)
    with pytest.raises(AssertionError, match="refused"):
        demand_no_pause(load, SHORT)
    assert load.lost > 0
