"""`segue setup` again, and the app's own unit, while the app serves: nobody notices; and its removal."""

from __future__ import annotations

import json

import pytest
from tests.support.machine.host import Host
from tests.support.site import demand_no_loss, traffic, until

PROJECT = "/home/deploy/shop"
SEGUE = "/opt/segue/bin/segue"


@pytest.fixture
def live(host: Host) -> Host:
    """A host whose app serves."""
    host.make_app(version="v1")
    setup(host, "--yes")
    host.run(SEGUE, "deploy", "production", user="deploy", cwd=PROJECT, timeout=240)
    return host


def setup(host: Host, *words: str) -> str:
    return host.run(SEGUE, "setup", "production", *words, cwd=PROJECT, timeout=120).out


def running(host: Host) -> list[str]:
    """The generations that run."""
    listed = host.run(
        "systemctl", "list-units", "--plain", "--no-legend", "--state=active", "segue-shop@*.service"
    )
    return [line.split()[0] for line in listed.out.splitlines()]


def _kill_keeper(host: Host, signal: str) -> None:
    """Kill it, and see another one in its place."""
    unit = "segue-shop.service"
    before = host.show(unit, "ActiveState", "MainPID")
    host.run("systemctl", "kill", "-s", signal, "--kill-who=main", unit)

    def has_come_back() -> bool:
        now = host.show(unit, "ActiveState", "MainPID")
        return now["ActiveState"] == "active" and now["MainPID"] != before["MainPID"]

    until(has_come_back, 60.0, "another keeper")


def test_a_changed_config_another_segue_and_a_restart_lose_nothing(live: Host) -> None:
    before = running(live)
    live.run("mv", "/opt/segue", "/usr/local/tool")
    with traffic("http://shop.example/", connect=f"{live.address}:80", way=live.way) as load:
        tool = ("/usr/local/tool/bin/python", "-m", "segue", "setup", "production", "--yes")
        assert "a copy of this segue" in live.run(*tool, cwd=PROJECT, timeout=120).out
        text = live.read(f"{PROJECT}/segue.toml") + '\nunconfined = ["PrivateTmp"]\n'
        live.write(f"{PROJECT}/segue.toml", text)
        assert "-PrivateTmp=yes" in setup(live, "--yes")
        assert setup(live) == "nothing to do\n"
        live.run("systemctl", "restart", "segue-shop.service")
        _kill_keeper(live, "KILL")
        _kill_keeper(live, "TERM")
    demand_no_loss(load)
    assert running(live) == before


def test_a_plain_stop_stops_the_app_and_a_start_brings_it_back(live: Host) -> None:
    before = running(live)
    live.run("systemctl", "stop", "segue-shop.service")
    assert running(live) == []
    live.run("systemctl", "start", "segue-shop.service")
    assert running(live) == before


def test_a_removal_ends_the_app_that_serves(live: Host) -> None:
    record = json.loads(live.read("/var/lib/segue/shop/record.json"))
    said = setup(live, "--remove", "--yes")
    assert f"segue-shop@{record['live']}.service" in said
    assert live.run("systemctl", "list-units", "--all", "--no-legend", "segue-*").out == ""
    assert live.run("ps", "-u", "shop", "-o", "pid=", check=False).out == ""
    assert live.run("ls", "/srv/shop").out == "shared\n"
    assert setup(live, "--remove") == "nothing to do\n"
    # the data is there, so the app can come back
    setup(live, "--yes")
    live.run(SEGUE, "deploy", "production", user="deploy", cwd=PROJECT, timeout=240)
    assert len(running(live)) == 1
