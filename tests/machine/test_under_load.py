"""What people do with an app that serves, beside deploying: nobody notices, and all can be looked up."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any

import pytest
from tests.support.machine.host import booted
from tests.support.machine.main_job import STATE, WAYS, Shop, demand_clean, demand_unnoticed, set_up, users
from tests.support.machine.shop import DOMAIN, NAME
from tests.support.site import until

from segue.server.come_to_rest import RECOVERY

STANDBY = 20
# they come every 0.1 s; nginx would keep them until it has 4 KB, which is 40 s of them
SOON = 20.0


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    way = WAYS["gthread"]
    with booted() as host:
        yield set_up(host, replace(way, settings={**way.settings, "standby": f"{STANDBY}s", "keep": 5}))


def steps(receipt: dict[str, Any]) -> list[str]:
    return [step["name"] for step in receipt["steps"]]


def version(shop: Shop) -> str:
    return shop.get()[1]


def test_each_event_arrives_when_it_was_sent(shop: Shop) -> None:
    connection = HTTPConnection(DOMAIN)
    connection.sock = shop.host.way.connect(f"http://{shop.host.address}/", 20)
    with contextlib.closing(connection):
        asked = time.monotonic()
        connection.request("GET", "/events", headers={"Connection": "close"})
        response = connection.getresponse()
        assert response.read1()
        assert time.monotonic() - asked < SOON
        assert response.headers["X-Segue-Generation"] == shop.record()["live"]
        assert response.headers["X-Segue-Release"] == shop.record()["live"].rpartition(".")[0]


def test_a_rollback_boots_at_most_once_and_is_not_noticed(shop: Shop) -> None:
    with users(shop, streams=False) as load:
        shop.commit("v2")
        deployed = shop.ask("deploy", "production")
        assert shop.record()["standby"] == deployed["previous"]
        warm = shop.ask("rollback", "production")
        assert "boot" not in steps(warm)
        assert (warm["generation"], version(shop)) == (deployed["previous"], "v1")
        told = json.loads(shop.segue("history", "production", "--json"))[:3]
        assert [(one["verb"], one.get("id", one["generation"])) for one in told] == [
            ("rollback", warm["generation"]),
            ("deploy", deployed["generation"]),
            ("deploy", f"{warm['generation']}~1"),
        ]
        shop.commit("v3")
        shop.ask("deploy", "production")
        until(lambda: "standby" not in shop.record(), STANDBY * 4, "the end of the standby")
        cold = shop.ask("rollback", "production")
        assert steps(cold).count("boot") == 1
        assert version(shop) == "v1"
    demand_clean(warm)
    demand_clean(cold)
    demand_unnoticed(shop, load)


def test_a_deploy_waits_for_the_end_of_a_standby(shop: Shop) -> None:
    """Its last request is a slow one, so that this takes a while."""
    shop.commit("v4")
    shop.ask("deploy", "production")
    socket = f"/run/segue/{NAME}/{shop.record()['standby']}/http.sock"
    curl = shop.host.start("curl", "--silent", "--unix-socket", socket, "http://shop/slow?seconds=4")
    # a line for the socket that listens, and one for each connection
    until(lambda: shop.host.read("/proc/net/unix").count(socket) > 1, what="the request")
    shop.host.run("systemctl", "restart", "--no-block", "segue-shop")
    until(
        lambda: RECOVERY in shop.host.read(f"{STATE}/lock") or "standby" not in shop.record(),
        what="the end of the standby",
    )
    shop.commit("v5")
    shop.ask("deploy", "production")
    assert version(shop) == "v5"
    assert curl.communicate(timeout=20)[0] == "slept"


@pytest.mark.parametrize("how", ["segue restart", "reload", "restart"])
def test_a_restart_is_not_noticed(shop: Shop, how: str) -> None:
    before = shop.record()["live"]
    with users(shop) as load:
        if how == "segue restart":
            demand_clean(shop.ask("restart", "production"))
        else:
            shop.host.run("systemctl", how, "segue-shop", timeout=240)
    after = shop.record()["live"]
    # the restart of the unit is no restart of the app
    assert (after == before) is (how == "restart")
    assert shop.get()[2]["X-Segue-Generation"] == after
    assert shop.host.show("segue-shop", "ActiveState") == {"ActiveState": "active"}
    demand_unnoticed(shop, load)


def test_the_deploy_user_can_look_everything_up(shop: Shop) -> None:
    live = shop.record()["live"]
    status = shop.ask("status", "production")
    assert status["live"]["alive"] is True
    assert live in shop.segue("status", "production")
    assert "gunicorn" in shop.segue("logs", "production", "--lines=50").lower()
    assert live in shop.segue("history", "production")
    assert live.rpartition(".")[0] in shop.segue("releases", "production")
    assert f"{live.rpartition('.')[0]} is live" in shop.segue("receipt", "--target", "production")
    receipt = shop.ask("receipt", "--target", "production")
    assert receipt["generation"] == live
    page = shop.segue("receipt", "--target", "production", "--html", "-")
    # the first deploy of all has no traffic to tell of
    sent = (receipt["traffic"] or {"sent": 0})["sent"]
    assert page.count('<tr><td class="number">') == sent
    # whichever test came before: each of them deploys as one of the two
    assert receipt["by"] in ("deploy", "systemctl reload (root)")
