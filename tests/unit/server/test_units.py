"""The files of a server as text: what systemd, sudo and tmpfiles are told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from segue.server import units
from segue.server.installed import Installed
from segue.server.layout import Layout
from segue.server.sandbox import as_words, confinement

SHOP = Layout("shop")
INSTALLED = Installed("shop", "production", "shop", "deploy", "shop.example", "0.1.0")
GENERATION = "20261121T013455-8c1f2e9.1"


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_every_file_says_who_made_it() -> None:
    texts = [units.service(SHOP, INSTALLED), units.socket(SHOP), units.deploy(SHOP, INSTALLED)]
    texts += [units.keeper(SHOP, INSTALLED), units.tmpfiles(SHOP), units.sudoers(SHOP, ["deploy"])]
    assert all(text.startswith(units.MARK) for text in texts)
    assert units.MARK in units.exec_script(SHOP)


def test_a_generation_runs_confined_as_the_apps_user() -> None:
    service = lines(units.service(SHOP, INSTALLED))
    launcher = "/opt/segue/bin/python -I -S /opt/segue/segue/run/unit.py"
    assert f"ExecStart={launcher} /var/lib/segue/shop/generations/%i" in service
    assert {"User=shop", "EnvironmentFile=/etc/shop.env", "KillMode=mixed", "TimeoutStopSec=41"} <= {*service}
    assert [line for line in service if line.startswith("ReadWritePaths=")] == [
        "ReadWritePaths=/var/lib/segue/shop/generations/%i",
        "ReadWritePaths=-/run/segue/shop/%i",
        "ReadWritePaths=/srv/shop/shared",
    ]


def test_unit_and_tasks_are_confined_by_one_list() -> None:
    unit = lines(units.service(SHOP, INSTALLED))
    words = as_words(confinement(SHOP, INSTALLED, GENERATION))
    assert words[::2] == ("-p",) * (len(words) // 2)
    assert [word.replace(GENERATION, "%i") for word in words[1::2]] == unit[-len(words) // 2 :]


def test_what_an_app_cant_live_with_is_left_out_and_what_it_writes_is_let_in() -> None:
    loose = replace(INSTALLED, unconfined=("MemoryDenyWriteExecute",), writable=("/mnt/media",))
    before, after = ({*confinement(SHOP, one, GENERATION)} for one in (INSTALLED, loose))
    assert before - after == {("MemoryDenyWriteExecute", "yes")}
    assert after - before == {("ReadWritePaths", "/mnt/media")}


def test_neither_a_crash_loop_nor_a_failed_generation_needs_a_person() -> None:
    for text in (units.service(SHOP, INSTALLED), units.socket(SHOP), units.deploy(SHOP, INSTALLED)):
        assert {"StartLimitIntervalSec=0", "CollectMode=inactive-or-failed"} <= {*lines(text)}
    assert "CollectMode=inactive-or-failed" not in lines(units.keeper(SHOP, INSTALLED))


def test_the_socket_is_nginxs_and_outlives_a_crash() -> None:
    socket = {*lines(units.socket(SHOP))}
    assert {"SocketUser=root", "SocketGroup=www-data", "SocketMode=0660", "Backlog=2048"} <= socket
    assert {"RemoveOnStop=yes", "TriggerLimitIntervalSec=0", "Service=segue-shop@%i.service"} <= socket


def test_sudo_allows_one_command_without_words_once_for_each_deploy_user() -> None:
    assert lines(units.sudoers(SHOP, ["deploy", "ci", "deploy"]))[1:] == [
        "Defaults!/opt/segue/bin/segue-exec env_reset, !use_pty",
        'ci ALL=(root:root) NOPASSWD: /opt/segue/bin/segue-exec ""',
        'deploy ALL=(root:root) NOPASSWD: /opt/segue/bin/segue-exec ""',
    ]


def test_the_folders_of_sockets_are_roots() -> None:
    assert lines(units.tmpfiles(SHOP))[1:] == [
        "d /run/segue 0755 root root -",
        "d /run/segue/shop 0755 root root -",
        "d /run/segue/shop/front 0755 root root -",
    ]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    here = Layout("shop", tmp_path)
    here.python.parent.mkdir(parents=True)
    here.python.symlink_to(sys.executable)
    texts = {
        SHOP.service_template: units.service(here, INSTALLED),
        SHOP.socket_template: units.socket(here),
        SHOP.deploy_template: units.deploy(here, INSTALLED),
        SHOP.keeper_unit: units.keeper(here, INSTALLED),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    verify = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in texts)]
    env = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, env=env, check=False)
    ours = [line for line in done.stderr.splitlines() if "segue" in line]
    assert (done.returncode, ours) == (0, []), done.stderr
