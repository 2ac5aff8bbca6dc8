"""The lab itself: hosts boot in seconds, are real, are apart from each other, and leave nothing."""

from __future__ import annotations

import pytest
from tests.support.machine.host import Host
from tests.support.site import demand_no_loss, traffic


def test_systemd_is_its_init_and_nothing_failed(host: Host) -> None:
    assert host.run("systemctl", "is-system-running").out == "running\n"
    assert host.run("ps", "-o", "comm=", "-p", "1").out == "systemd\n"


def test_nginx_answers_from_the_clients_side(host: Host) -> None:
    with host.way.get(f"http://{host.address}/") as response:
        assert response.status == 200
        assert response.headers["Server"].startswith("nginx")
    with traffic(f"http://{host.address}/", way=host.way) as load:
        host.run("systemctl", "reload", "nginx")
    demand_no_loss(load)


def test_nginx_killed_under_load_turns_traffic_red(host: Host) -> None:
    """The negative control."""
    with traffic(f"http://{host.address}/", way=host.way) as load:
        host.run("systemctl", "kill", "--signal=KILL", "nginx")
        host.run("systemctl", "start", "nginx")
    assert load.lost > 0
    with pytest.raises(AssertionError, match=r"refused|reset"):
        demand_no_loss(load)


def test_sudo_lets_a_user_do_what_it_was_told_and_no_more(host: Host) -> None:
    host.write("/etc/sudoers.d/lab", "deploy ALL=(root:root) NOPASSWD: /usr/bin/id\n", mode=0o440)
    assert host.run("sudo", "-n", "id", "-un", user="deploy").out == "root\n"
    assert host.run("id", "-un", user="deploy").out == "deploy\n"
    refused = host.run("sudo", "-n", "cat", "/etc/shadow", user="deploy", check=False)
    assert refused.code == 1
    assert "a password is required" in refused.err
