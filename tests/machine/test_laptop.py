"""From a laptop: the source travels by the system's ssh, and a cut line stops nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.apps import make_app
from tests.support.machine.host import Host, booted
from tests.support.site import QUICK, demand_no_loss, traffic, until

SEGUE = "/opt/segue/bin/segue"
ANSWER_TIMEOUT = 240


@dataclass
class Laptop:
    """A checkout on the clients' side of the host's network, and an ssh that knows the host."""

    host: Host
    project: Path
    tools: Path

    def argv(self, *words: str) -> tuple[str, ...]:
        return (*self.host.way.client, sys.executable, "-m", "segue", *words)

    def start(self, *words: str) -> subprocess.Popen[str]:
        path = f"{self.tools}:{os.environ['PATH']}"
        return subprocess.Popen(
            self.argv(*words),
            cwd=self.project,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self, *words: str, code: int = 0) -> Any:
        return self.end(self.start(*words, "--json"), code=code)

    def end(self, process: subprocess.Popen[str], code: int = 0) -> Any:
        return json.loads(self.printed(process, code=code))

    def printed(self, process: subprocess.Popen[str], code: int = 0) -> str:
        out, err = process.communicate(timeout=ANSWER_TIMEOUT)
        assert process.returncode == code, f"{out}\n{err}"
        return out

    def version(self, version: str, **settings: str) -> None:
        make_app(self.project, version=version)
        (self.project / "requirements.txt").write_text("flask\ngunicorn\n")
        app = {
            "name": "shop",
            "module": "wsgi:app",
            "check": "/healthz",
            **QUICK,
            "standby": "5m",
            **settings,
        }
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in app.items())
        target = f'host = "deploy@{self.host.address}"\ndomain = "shop.example"\n'
        (self.project / "segue.toml").write_text(f"[app]\n{lines}\n[targets.production]\n{target}")


def known(host: Host, folder: Path) -> Path:
    """A folder with an `ssh` that has a key for `host`, and its host key."""
    key, hosts, tools = folder / "key", folder / "known_hosts", folder / "bin"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key), check=True)
    host.admit(key.with_suffix(".pub").read_text())
    hosts.write_text(f"{host.address} {host.read('/etc/ssh/ssh_host_ed25519_key.pub')}")
    tools.mkdir()
    words = f"-F none -i {key} -o UserKnownHostsFile={hosts}"
    (tools / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh {words} "$@"\n')
    (tools / "ssh").chmod(0o755)
    return tools


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    with booted() as host:
        folder = tmp_path_factory.mktemp("laptop")
        laptop = Laptop(host, folder / "shop", known(host, folder))
        laptop.version("v1")
        host.make_app(version="v1", target={"host": f"deploy@{host.address}"})
        host.run(SEGUE, "setup", "production", "--yes", cwd="/home/deploy/shop", timeout=ANSWER_TIMEOUT)
        yield laptop


def test_a_deploy_and_a_rollback_over_ssh_lose_nothing(laptop: Laptop) -> None:
    first = laptop.ask("deploy", "production")
    laptop.version("v2")
    with traffic("http://shop.example/", connect=f"{laptop.host.address}:80", way=laptop.host.way) as load:
        second = laptop.ask("deploy", "production")
        assert laptop.ask("status", "production")["live"]["generation"] == second["generation"]
        assert laptop.ask("rollback", "production")["generation"] == first["generation"]
    demand_no_loss(load)
    assert set(load.report["generations"]) == {first["generation"], second["generation"]}
    index = Path(laptop.printed(laptop.start("history", "production", "--html")).strip())
    assert index.parent == laptop.project / ".segue" / "pages" / "production"
    assert 'id="timeline"' in (index.parent / f"{second['generation']}.html").read_text()


def test_a_cut_line_stops_nothing_and_the_asker_gets_its_verdict(laptop: Laptop) -> None:
    laptop.version("v3", watch="8s")
    asker = laptop.start("deploy", "production", "--json")
    state = "/var/lib/segue/shop/record.json"
    until(lambda: json.loads(laptop.host.read(state))["phase"] == "watch", 120, "the watch")
    for pid in _ssh_of(asker.pid):
        os.kill(pid, 9)
    receipt = laptop.end(asker)
    assert receipt["ok"]
    assert laptop.ask("history", "production")[0]["generation"] == receipt["generation"]


def test_a_host_that_is_not_there_is_exit_4(laptop: Laptop) -> None:
    laptop.version("v4")
    config = laptop.project / "segue.toml"
    config.write_text(config.read_text().replace(f"deploy@{laptop.host.address}", "deploy@10.255.255.1"))
    error = laptop.ask("status", "production", code=4)["error"]
    assert "10.255.255.1" in error["message"]
    assert error["hint"]


def _ssh_of(pid: int) -> list[int]:
    """The ssh processes that the asker `pid` started."""
    found = subprocess.run(
        ("pgrep", "--parent", str(pid), "ssh"), capture_output=True, text=True, check=False
    )
    return [int(word) for word in found.stdout.split()]
