"""``segue setup`` before it looks at the server: which target, by whom, and on which machine."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from segue.cli.main import cli

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root comes so far")
NOT_AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root is not refused")

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`segue setup` in a project with such targets; what it would find of this machine is not reached."""
    monkeypatch.chdir(tmp_path)

    def setup(targets: str, *words: str, name: str = "shop") -> Result:
        (tmp_path / "segue.toml").write_text(f'[app]\nname = "{name}"\n{targets}', encoding="utf-8")
        return CliRunner().invoke(cli, ["setup", *words, "--json"])

    return setup


def message(result: Result, code: int) -> str:
    assert result.exit_code == code, result.output
    document = json.loads(result.stdout)
    assert document["applied"] is False
    return f"{document['error']['message']} {document['error']['evidence']} {document['error']['hint']}"


def test_a_target_needs_a_domain(run: Run) -> None:
    assert "no server among the targets" in message(run(""), 2)
    assert "set domain" in message(run("", "local"), 2)
    assert "set domain" in message(run('[targets.web]\nhost = "web1"\n', "web"), 2)


def test_which_of_several_is_meant_has_to_be_said(run: Run) -> None:
    both = '[targets.staging]\ndomain = "s.example"\n[targets.production]\ndomain = "p.example"\n'
    assert "servers: staging, production" in message(run(both), 2)


@pytest.mark.parametrize("name", ["Shop", "shop.example", "shop_1", "1shop", "shop-deploy"])
def test_a_name_that_no_unit_can_have_is_refused(run: Run, name: str) -> None:
    assert "can't be an app's name on a server" in message(
        run('[targets.p]\ndomain = "p.example"\n', name=name), 2
    )


@NOT_AS_ROOT
def test_only_root_sets_up_a_server(run: Run) -> None:
    said = message(run('[targets.production]\ndomain = "p.example"\n'), 3)
    assert "Only root can set up a server" in said
    assert "setup production" in said


@AS_ROOT
def test_another_machine_than_the_targets_is_left_alone(run: Run) -> None:
    said = message(run('[targets.production]\ndomain = "p.example"\nhost = "deploy@192.0.2.1"\n'), 3)
    assert f"is on 192.0.2.1, and this machine is {socket.gethostname()}" in said
