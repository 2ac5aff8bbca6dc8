"""The lab itself: hosts boot in seconds, are real, are apart from each other, and leave nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.far import ROUND_TRIP
from tests.support.machine.host import CHECKOUT, Host, booted
from tests.support.machine.layers import unfit
from tests.support.machine.room import CGROUP, systemd_trees
from tests.support.site import demand_no_loss, traffic, until

from segue import __version__

ROOT = Path(__file__).parents[2]
VENV = f"{CHECKOUT}/venv"
TIMEOUT = 30.0
UV = "/opt/segue/bin/uv"
BUILD = {
    "uv": (
        (UV, "venv", "--quiet", VENV),
        (UV, "pip", "install", "--quiet", "--python", f"{VENV}/bin/python", "-r", "requirements.txt"),
    ),
    "pip": (
        ("python3", "-m", "venv", VENV),
        (f"{VENV}/bin/pip", "install", "--quiet", "-r", "requirements.txt"),
    ),
}
TOLD = """
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/usr/bin/touch /stopped
"""
# What a test is to a host, in a process that can be killed: it boots one, leaves a command in it, and waits.
HOLD = """
import time
from tests.support.machine.host import booted
with booted() as host:
    inside = host.start("sleep", "600")
    print(host.pid, inside.pid, host.way.client[1].split("/")[2], flush=True)
    time.sleep(600)
"""


def test_systemd_is_its_init_and_nothing_failed(host: Host) -> None:
    assert host.run("systemctl", "is-system-running").out == "running\n"
    assert host.run("ps", "-o", "comm=", "-p", "1").out == "systemd\n"


def test_nginx_answers_from_the_clients_side(host: Host) -> None:
    with host.way.get(f"http://{host.address}/") as response:
        assert response.status == 200
        assert response.headers["Server"].startswith("nginx")
    # nginx's own reload closes connections that are kept alive
    with traffic(f"http://{host.address}/", keep_alive=0.0, way=host.way) as load:
        host.run("systemctl", "reload", "nginx")
    demand_no_loss(load)


def test_nginx_killed_under_load_turns_traffic_red(host: Host) -> None:
    """The negative control."""
    with traffic(f"http://{host.address}/", way=host.way) as load:
        host.run("systemctl", "kill", "--signal=KILL", "nginx")
        until(lambda: host.show("nginx", "ActiveState") == {"ActiveState": "failed"}, what="its death")
        until(lambda: load.so_far()["failed"], what="a loss")
        host.run("systemctl", "start", "nginx")
    with pytest.raises(AssertionError, match=r"refused|reset"):
        demand_no_loss(load)


def test_a_far_host_is_a_round_trip_away(far_host: Host) -> None:
    began = time.monotonic()
    with contextlib.closing(far_host.way.connect(f"http://{far_host.address}/", TIMEOUT)):
        assert time.monotonic() - began >= ROUND_TRIP
    with traffic(f"http://{far_host.address}/", way=far_host.way) as load:
        far_host.run("systemctl", "reload", "nginx")
    assert load.report["latency_ms"]["p50"] >= ROUND_TRIP * 1000


def test_two_hosts_know_nothing_of_each_other(host: Host) -> None:
    """systemd stops by cgroup: in one and the same, each would stop the other's services."""
    with booted() as other:
        host.run("systemctl", "stop", "nginx")
        host.write("/etc/mine", "mine")
        assert other.show("nginx", "ActiveState") == {"ActiveState": "active"}
        with other.way.get(f"http://{other.address}/") as response:
            assert response.status == 200
        assert not other.exists("/etc/mine")
        assert other.read("/etc/machine-id") != host.read("/etc/machine-id")


def test_sudo_lets_a_user_do_what_it_was_told_and_no_more(host: Host) -> None:
    host.write("/etc/sudoers.d/lab", "deploy ALL=(root:root) NOPASSWD: /usr/bin/id\n", mode=0o440)
    assert host.run("sudo", "-n", "id", "-un", user="deploy").out == "root\n"
    assert host.run("id", "-un", user="deploy").out == "deploy\n"
    refused = host.run("sudo", "-n", "cat", "/etc/shadow", user="deploy", check=False)
    assert refused.code == 1
    assert "a password is required" in refused.err


def test_a_laptop_comes_in_by_ssh(host: Host, tmp_path: Path) -> None:
    key, known = tmp_path / "key", tmp_path / "known_hosts"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key), check=True)
    host.admit(key.with_suffix(".pub").read_text())
    known.write_text(f"{host.address} {host.read('/etc/ssh/ssh_host_ed25519_key.pub')}")
    ssh = ("ssh", "-F", "none", "-i", str(key), "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes")
    argv = (*host.way.client, *ssh, f"deploy@{host.address}", "id", "-un")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT, check=True)
    assert done.stdout == "deploy\n"


def test_a_reboot_keeps_the_disk_and_empties_run(host: Host) -> None:
    host.write("/etc/kept", "kept")
    host.write("/run/gone", "gone")
    first = host.read("/proc/sys/kernel/random/boot_id")
    host.reboot()
    assert host.read("/etc/kept") == "kept"
    assert not host.exists("/run/gone")
    assert host.read("/proc/sys/kernel/random/boot_id") != first
    with host.way.get(f"http://{host.address}/") as response:
        assert response.status == 200


def test_it_comes_back_from_poweroff_and_from_a_power_cut(host: Host) -> None:
    """Who is powered off is told to stop; who is cut off is not."""
    host.write("/etc/systemd/system/told.service", TOLD)
    host.run("systemctl", "daemon-reload")
    for end, orderly in ((host.poweroff, True), (host.cut_power, False)):
        host.run("rm", "-f", "/stopped")
        host.run("systemctl", "start", "told")
        end()
        host.boot()
        assert host.exists("/stopped") is orderly


def test_segue_is_installed_for_root_from_its_wheel(host: Host) -> None:
    assert __version__ in host.run("/opt/segue/bin/segue", "--version", user="deploy").out
    owners = host.run(
        "find", "/opt/segue", "-not", "-user", "root", "-o", "-perm", "/o+w", "-not", "-type", "l"
    )
    assert owners.out == ""


@pytest.mark.parametrize("how", ["uv", pytest.param("pip", marks=pytest.mark.soak)])
def test_a_release_can_be_built_offline(host: Host, how: str) -> None:
    """By the deploy user, from the project's requirements.txt."""
    commit = host.make_app(version="v1")
    assert host.run("git", "log", "--format=%H %an", user="deploy", cwd=CHECKOUT).out == f"{commit} Deploy\n"
    for argv in BUILD[how]:
        host.run(*argv, user="deploy", cwd=CHECKOUT)
    said = host.run(f"{VENV}/bin/python", "-c", "import flask, wsgi; print(wsgi.__name__)", cwd=CHECKOUT)
    assert said.out == "wsgi\n"
    assert "gunicorn" in host.run(f"{VENV}/bin/gunicorn", "--version", user="deploy").out


def test_the_next_version_of_an_app_is_the_next_commit(host: Host) -> None:
    first = host.make_app(version="v1", files={"static/logo.txt": "a logo"})
    second = host.make_app(version="v2", interface="asgi", settings={"server": "uvicorn"})
    log = host.run("git", "log", "--format=%H %s", user="deploy", cwd=CHECKOUT).out
    assert log == f"{second} v2\n{first} v1\n"
    assert host.run("git", "status", "--porcelain", user="deploy", cwd=CHECKOUT).out == ""
    assert 'domain = "shop.example"' in host.read(f"{CHECKOUT}/segue.toml")


@pytest.mark.parametrize("victim", ["test", "room"])
def test_nothing_of_it_outlives_a_killed_test_or_room(victim: str) -> None:
    """Neither processes nor cgroups; mounts and network are in the namespaces of those processes."""
    if reason := unfit():
        pytest.skip(f"no lab: {reason}")
    with subprocess.Popen((sys.executable, "-c", HOLD), stdout=subprocess.PIPE, text=True, cwd=ROOT) as test:
        assert test.stdout is not None
        init, inside, cable = map(int, test.stdout.readline().split())
        room = room_of(init)
        made = [Path("/proc", str(pid)) for pid in (init, inside, cable, room)]
        assert all(process.exists() for process in made)
        os.kill(test.pid if victim == "test" else room, signal.SIGKILL)
        until(lambda: not made[0].exists(), what="the end of the host")
        test.kill()
    until(lambda: not any(process.exists() for process in made), what="the end of all")
    with booted():
        until(
            lambda: not any((tree / f"{CGROUP}{room}").exists() for tree in systemd_trees()),
            what="its cgroup's end",
        )


def room_of(init: int) -> int:
    """The room that holds a host's init: unshare's parent, which is nspawn's."""
    pid = init
    for _ in ("nspawn", "unshare", "room"):
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid
