"""One server: set up, deployed to, rolled back, broken, rebooted; real systemd, real nginx, 0 lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.machine.host import Host, booted
from tests.support.site import demand_no_loss, traffic, until

pytestmark = pytest.mark.machine

APP = "shop"
PROJECT = "/home/deploy/shop"
SEGUE = "/opt/segue/bin/segue"


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with booted() as host:
        host.make_app(version="v1")
        host.run(SEGUE, "setup", "production", "--yes", cwd=PROJECT, timeout=240)
        yield host


def ask(host: Host, *words: str, code: int = 0) -> dict[str, Any]:
    done = host.run(SEGUE, *words, "--json", user="deploy", cwd=PROJECT, check=False, timeout=240)
    assert done.code == code, f"{done.out}\n{done.err}\n{host.journal()[-3000:]}"
    document: dict[str, Any] = json.loads(done.out)
    return document


def live(host: Host) -> str:
    return str(json.loads(host.read(f"/var/lib/segue/{APP}/record.json"))["live"])


def test_a_deploy_a_rollback_and_a_bad_release_lose_nothing(host: Host) -> None:
    first = ask(host, "deploy", "production")
    assert first["strategy"] == "blue-green"
    with traffic("http://shop.example/", connect=f"{host.address}:80", way=host.way) as load:
        host.make_app(version="v2")
        second = ask(host, "deploy", "production")
        assert live(host) == second["generation"] != first["generation"]
        host.make_app(version="v3", import_error="ImportError")
        refused = ask(host, "deploy", "production", code=1)
        assert refused["error"]["kind"] == "import"
        assert live(host) == second["generation"]
        back = ask(host, "rollback", "production")
        assert "boot" not in [step["name"] for step in back["steps"]]
        assert live(host) == first["generation"]
    demand_no_loss(load)
    until(
        lambda: "standby" not in json.loads(host.read(f"/var/lib/segue/{APP}/record.json")),
        90,
        "the end of the standby",
    )


def test_a_command_runs_as_the_app_in_its_sandbox(host: Host) -> None:
    def run(*command: str) -> tuple[int, str]:
        done = host.run(SEGUE, "run", "production", "--", *command, user="deploy", cwd=PROJECT, check=False)
        return done.code, done.out.strip()

    host.write("/etc/shop.env", "GREETING='a $HOME and a %n'\n", mode=0o640)
    tell = "import os, getpass; print(getpass.getuser(), os.getcwd(), os.environ['GREETING'])"
    assert run("python", "-c", tell) == (
        0,
        f"shop /srv/shop/releases/{live(host).rpartition('.')[0]} a $HOME and a %n",
    )
    assert run("sh", "-c", "echo $0 %n; exit 7") == (7, "sh %n")
    assert run("touch", f"/srv/shop/releases/{live(host).rpartition('.')[0]}/mine")[0] == 1
    assert run("no-such-command")[0] == 127
    journal = host.journal()
    assert "GREETING" not in journal
    assert "a $HOME" not in journal


def test_after_a_reboot_the_committed_generation_serves(host: Host) -> None:
    before = live(host)
    host.reboot()
    until(lambda: ask(host, "status", "production")["live"]["alive"], 60, "the live generation")
    assert live(host) == before


def test_the_units_state_tells_when_the_live_generation_is_down_and_a_start_brings_it_back(
    host: Host,
) -> None:
    def state(unit: str) -> str:
        return host.show(unit, "ActiveState")["ActiveState"]

    service, socket = (f"segue-{APP}@{live(host)}.{kind}" for kind in ("service", "socket"))
    assert state(f"segue-{APP}.service") == "active"
    host.run("systemctl", "stop", socket, service)
    until(lambda: state(f"segue-{APP}.service") == "failed", 60, "the truth")
    host.run("systemctl", "start", f"segue-{APP}.service")
    assert (state(f"segue-{APP}.service"), state(service)) == ("active", "active")
