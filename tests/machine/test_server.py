"""One server: set up, deployed to, rolled back, broken, rebooted; real systemd, real nginx, 0 lost."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
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


class Seat:
    """Somebody at a terminal, who runs a command in the live release."""

    def __init__(self, host: Host, *command: str) -> None:
        self._screen, mine = pty.openpty()
        words = (SEGUE, "run", "production", "--", *command)
        self._seen = b""
        # the terminal is its session's, so that the kernel tells it of new sizes, and of its end
        argv = ("setsid", "--ctty", *host.argv(*words, user="deploy", cwd=PROJECT))
        self.process = subprocess.Popen(argv, stdin=mine, stdout=mine, stderr=mine)
        os.close(mine)

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def sees(self, text: str) -> None:
        def seen() -> bool:
            if select.select([self._screen], [], [], 0)[0]:
                with contextlib.suppress(OSError):
                    self._seen += os.read(self._screen, 65536)
            return text.encode() in self._seen

        try:
            until(seen, 60, text)
        except AssertionError as error:
            error.add_note(self._seen.decode(errors="replace"))
            raise

    def close(self) -> None:
        os.close(self._screen)

    def leave(self) -> int:
        return self.process.wait(30)


def test_a_command_has_a_terminal_where_its_asker_has_one(host: Host) -> None:
    seat = Seat(host, "python", "-q")
    seat.sees(">>> ")
    seat.type("import os, sys; print(6 * 7, sys.stdin.isatty(), os.environ['SEGUE_RELEASE'])\r")
    seat.sees(f"42 True {live(host).rpartition('.')[0]}")
    seat.type("import time; time.sleep(60)\r")
    seat.type("\x03")
    seat.sees("KeyboardInterrupt")
    seat.resize(33, 111)
    seat.type("while os.get_terminal_size() != (111, 33): time.sleep(0.1)\r\rprint('resized', 6 * 7)\r")
    seat.sees("resized 42")
    seat.type("raise SystemExit(7)\r")
    assert seat.leave() == 7


def test_a_command_ends_with_its_askers_terminal(host: Host) -> None:
    seat = Seat(host, "sh", "-c", "echo here; sleep 1000")
    seat.sees("here")
    seat.close()
    seat.leave()
    until(lambda: "sleep" not in host.run("ps", "-eo", "args").out, 60, "the end of the command")


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
