"""What setup refuses to begin, in a picture of a server; nothing is written then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.server import Picture, Sites, done, fails_at, planned, refused

from segue.config.schema import AppConfig, Target
from segue.core.errors import Refused, UsageError
from segue.disk.lock import hold
from segue.server.fitness import comment
from segue.server.setup import plan_removal
from segue.server.units import MARK
from segue.server.wanted import decided


@pytest.fixture
def server(tmp_path: Path) -> Picture:
    return Picture(tmp_path / "server")


FOREIGN = {
    "a unit": "etc/systemd/system/segue-shop@.service",
    "the sudo rule": "etc/sudoers.d/segue",
    "tmpfiles": "etc/tmpfiles.d/segue-shop.conf",
    "a folder": "srv/shop",
    "segue's own": "opt/segue",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_file_in_the_way_is_refused(server: Picture, what: str) -> None:
    path = server.root / FOREIGN[what]
    path.write_text("somebody's\n", encoding="utf-8")
    assert str(path) in refused(server).evidence


def test_a_link_in_the_place_of_a_file_or_folder_is_refused(server: Picture, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.write_text(MARK, encoding="utf-8")
    server.layout().env_file.symlink_to(ours)
    server.layout().home.symlink_to(tmp_path)
    evidence = refused(server).evidence
    assert f"{server.layout().env_file} is there" in evidence
    assert f"{server.layout().home} is there, and is no folder" in evidence


def test_a_segue_on_an_interpreter_that_the_app_cannot_read_is_refused(
    server: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.prefix", str(server.layout().opt))
    monkeypatch.setattr("segue.server.origin._BASE", "/root/.local/share/uv/python/bin/python3.11")
    assert f"{server.layout().opt} runs on /root/.local" in refused(server).evidence


def test_a_folder_of_somebody_elses_is_refused(server: Picture) -> None:
    (server.layout().home / "website").mkdir(parents=True)
    assert "not segue's: website" in refused(server).evidence


WRONG_ACCOUNTS: dict[str, dict[str, Any]] = {
    "can log in": {"uid": 1001},
    "is root": {"uid": 0},
    "is everybody's": {"uid": 65534, "shell": "/usr/sbin/nologin"},
    "in the group docker": {"uid": 300, "groups": ("docker",)},
    "there is a user shop already": {"uid": 300, "shell": "/usr/sbin/nologin"},
}


@pytest.mark.parametrize("reason", WRONG_ACCOUNTS)
def test_the_app_runs_as_nobody_elses_user(server: Picture, reason: str) -> None:
    server.has("shop", **WRONG_ACCOUNTS[reason])
    assert reason in refused(server).evidence


def test_a_user_that_the_config_names_or_that_an_earlier_setup_made_is_taken(server: Picture) -> None:
    server.has("web", uid=300, shell="/usr/sbin/nologin")
    assert planned(server, user="web")
    server.has("shop", uid=301, shell="/usr/sbin/nologin", comment=comment("shop"))
    assert planned(server)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"user": "root"}, "user root is root"),
        ({"user": "www-data"}, "in the group www-data"),
        ({"user": "deploy"}, "could change its own code"),
        ({"deploy_user": "root"}, "deploy_user root is root"),
        ({"certificate": "/c.pem", "certificate_key": "/k.pem"}, "certificate_key: there is no file /k.pem"),
        ({"writable": ["/mnt/media"]}, "there is no folder /mnt/media"),
        ({"writable": ["/var"]}, "would open"),
        ({"writable": ["/etc/systemd"]}, "would open"),
    ],
)
def test_a_config_that_would_undo_the_separation_is_refused(
    server: Picture, keys: dict[str, Any], reason: str
) -> None:
    assert reason in refused(server, **keys).evidence


def test_all_reasons_are_told_at_once(server: Picture) -> None:
    server.missing = {"nginx", "visudo"}
    (server.root / "run/systemd/system").rmdir()
    evidence = refused(server, user="root").evidence
    assert all(word in evidence for word in ("apt install nginx", "apt install sudo", "systemd", "is root"))


def test_what_nginx_would_not_take_is_refused(server: Picture) -> None:
    server.front = Sites(refusal=Refused("name_taken", "Another site has the name."))
    assert refused(server).kind == "name_taken"


def test_what_sudo_would_not_take_is_refused(server: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "run", fails_at("-cf", server))
    assert "sudo would not take" in refused(server).evidence


def test_nothing_is_set_up_under_a_deploy(server: Picture) -> None:
    done(server, planned(server))
    with hold(server.layout().lock, "deploy 1"):
        assert "shop is being deployed" in refused(server).evidence
        with pytest.raises(Refused):
            plan_removal(server, server.layout())


def test_a_target_without_a_domain_is_no_server() -> None:
    with pytest.raises(UsageError) as caught:
        decided("local", AppConfig(name="shop"), Target())
    assert "domain" in caught.value.hint


def test_the_user_cant_be_swapped_under_the_app(server: Picture) -> None:
    done(server, planned(server))
    server.has("web", uid=300, shell="/usr/sbin/nologin")
    assert "the app runs as shop" in refused(server, user="web").evidence
