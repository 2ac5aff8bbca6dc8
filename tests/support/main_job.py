"""The main job: deploys and rollbacks in a row under mixed traffic, for any server, from near and far."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.apps import make_app, stored_orders
from tests.support.site import Site, Traffic, configure, demand_no_loss, serving, traffic
from tests.support.table import SERVERS
from tests.support.way import NEAR, Way

from segue.proof.schedule import plan_requests
from segue.proof.spec import ProbeSpec, Shot

IMPORT_SECONDS = 3.0
RATE, SLOW_RATE = 100, 1.5
QUICK_SHOTS = (Shot(), Shot(method="POST", path="/orders", body=(b'{"id": {n}}',)))
SLOW_SHOTS = (
    Shot(path="/slow?seconds=2"),
    Shot(path="/stream?seconds=2"),
    Shot(method="POST", path="/upload", body=(b"x" * 10_000,) * 5, pause=0.4),
)
# A gevent worker closes a connection from which it could not read a request within that time, be there one or
# not: its own 2 s are short on a busy machine, with or without a deploy.
PATIENT = "keepalive = 10\n"


@contextlib.contextmanager
def mixed_traffic(site: Site, rate: float = RATE) -> Iterator[tuple[Traffic, Traffic]]:
    """Pages and orders at `rate` a second, half of them kept alive; slow ones, streams and uploads beside."""
    # The slow ones are so seldom that a connection kept alive for them is idle beyond `linger`. From far away
    # a request on it may cross its end, and no server could answer that.
    keep_alive = 0.5 if site.way is NEAR else 0.0
    with (
        traffic(
            f"{site.url}/", rate=SLOW_RATE, keep_alive=keep_alive, shots=SLOW_SHOTS, way=site.way
        ) as slow,
        traffic(f"{site.url}/", rate=rate, shots=QUICK_SHOTS, way=site.way) as quick,
    ):
        yield quick, slow


def demand_orders_stored_once(folder: Path, quick: Traffic) -> None:
    """The second witness: the app stored every order that the probe sent, and each of them once."""
    planned = plan_requests(ProbeSpec(url="http://localhost/", rate=RATE, shots=QUICK_SHOTS))
    sent = itertools.islice(planned, quick.report["sent"])
    orders = [request.number for request in sent if request.shot.method == "POST"]
    assert len(orders) == quick.report["statuses"]["201"]
    assert sorted(stored_orders(folder)) == orders


def demand_version(site: Site, version: str) -> None:
    """New connections are answered by `version`, and by the live release."""
    with site.way.get(f"{site.url}/") as response:
        assert response.read().decode() == version
        assert response.headers["X-Segue-Generation"] == site.live().name


def carry_out(site: Site, deploys: int, rollbacks: int) -> None:
    """Deploy v2, v3 and on, then go back as many versions."""
    versions = [f"v{number}" for number in range(1, deploys + 2)]
    for version in versions[1:]:
        make_app(site.folder, version=version, import_seconds=IMPORT_SECONDS)
        demand_clean(site.deploy())
        demand_version(site, version)
    for version in reversed(versions[-1 - rollbacks : -1]):
        outcome = site.segue("rollback", "--json")
        assert outcome.code == 0, f"{outcome.out}\n{outcome.err}\n{site.keeper_log()}"
        demand_clean(outcome.document)
        demand_version(site, version)


def demand_clean(receipt: dict[str, Any]) -> None:
    """The receipt says so too: nothing lost, nothing cut."""
    assert receipt["lost"] == {"by_probe": 0, "held_by_crashed": 0}, receipt["traffic"]
    assert receipt["cut"] == 0


def main_job(folder: Path, server: str, *, deploys: int, rollbacks: int = 0, way: Way = NEAR) -> None:
    """The whole job, and all of its witnesses."""
    make_app(folder, version="v1", interface=SERVERS[server].interface)
    (folder / "gunicorn.conf.py").write_text(PATIENT)
    configure(folder, ready_timeout="60s", linger="1s", keep=rollbacks + 2, **SERVERS[server].job)
    with serving(folder, way=way) as site:
        with mixed_traffic(site) as (quick, slow):
            carry_out(site, deploys, rollbacks)
        assert site.at_rest()
    for load in (quick, slow):
        demand_no_loss(load)
        assert len(load.report["generations"]) == 1 + deploys + rollbacks
    demand_orders_stored_once(folder, quick)
