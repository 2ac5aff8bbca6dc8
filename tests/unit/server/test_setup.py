"""Setup in a picture of a server: what it makes, that it makes it once, and that it takes it away."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from tests.support.server import Picture, Sites, done, fails_at, planned, refused

from segue.core.errors import Failed, Refused
from segue.server.installed import installed_apps, read_installed
from segue.server.parts import Folder
from segue.server.setup import plan_removal


@pytest.fixture
def server(tmp_path: Path) -> Picture:
    return Picture(tmp_path / "server")


def test_a_fresh_server_gets_all_of_it_and_the_second_time_there_is_nothing_to_do(server: Picture) -> None:
    first = planned(server)
    assert done(server, first) == [change.text for change in first.changes]
    assert planned(server).changes == []
    assert done(server, planned(server)) == []


def test_what_is_planned_is_shown_and_nothing_is_touched(server: Picture) -> None:
    before = server.tree()
    texts = [change.text.replace(str(server.root), "") for change in planned(server).changes]
    assert server.tree() == before
    assert texts[0] == "+ user shop, of the system, without login"
    assert "+ folder /srv/shop/shared shop:shop 0751" in texts
    assert "+ file /etc/shop.env root:shop 0640" in texts
    assert "+ enable and start segue-shop.service" in texts
    assert texts[-1] == "+ file /etc/sudoers.d/segue root:root 0440"


def test_each_owns_what_it_should(server: Picture) -> None:
    done(server, planned(server))
    shop = server.layout()
    owned = {
        path: (*server.owner(path), f"{stat.S_IMODE(path.lstat().st_mode):o}")
        for path in (
            shop.home,
            shop.releases,
            shop.shared,
            shop.env_file,
            shop.state,
            shop.requests,
            shop.sudoers,
        )
    }
    assert list(owned.values()) == [
        ("root", "root", "755"),
        ("deploy", "deploy", "755"),
        ("shop", "shop", "751"),
        ("root", "shop", "640"),
        ("root", "root", "755"),
        ("root", "root", "700"),
        ("root", "root", "440"),
    ]


def test_the_app_cant_have_root_change_what_is_not_its_own(server: Picture, tmp_path: Path) -> None:
    """It owns the folder above, and may put a link there after everything was looked at."""
    done(server, planned(server))
    instance, mode = server.layout().shared / "instance", tmp_path.stat().st_mode
    instance.rmdir()
    instance.symlink_to(tmp_path)
    with pytest.raises(OSError, match="instance"):
        Folder(instance, "shop", "shop", 0o777).make(server)
    assert tmp_path.stat().st_mode == mode
    assert str(instance) in refused(server).evidence


def test_what_was_decided_can_be_read_back(server: Picture) -> None:
    done(server, planned(server, aliases=["www.shop.example"], unconfined=["PrivateTmp"]))
    installed = read_installed(server.layout())
    assert (installed.user, installed.aliases, installed.unconfined) == (
        "shop",
        ("www.shop.example",),
        ("PrivateTmp",),
    )
    assert (installed.stop_timeout, installed.start_timeout) == (41, 221)
    with pytest.raises(Refused) as caught:
        read_installed(server.layout("blog"))
    assert caught.value.kind == "not_set_up"


def test_what_an_earlier_version_decided_asks_for_no_static_files(server: Picture) -> None:
    done(server, planned(server))
    file = server.layout().installed
    document = json.loads(file.read_text())
    assert document.pop("static_url") is None
    file.write_text(json.dumps(document))
    assert read_installed(server.layout()).static_url is None


@pytest.mark.parametrize("text", ["{", "[]", '{"app": "blog"}', '{"app": "shop", "more": 1}'])
def test_a_damaged_decision_is_refused(server: Picture, text: str) -> None:
    done(server, planned(server))
    server.layout().installed.write_text(text, encoding="utf-8")
    with pytest.raises(Refused) as caught:
        read_installed(server.layout())
    assert caught.value.kind == "damaged"


def test_a_change_of_the_config_is_shown_as_a_diff_and_made(server: Picture) -> None:
    done(server, planned(server))
    plan = planned(server, unconfined=["MemoryDenyWriteExecute"])
    assert [change.text.split("/")[-1].split()[0] for change in plan.changes] == [
        "target.json",
        "segue-shop@.service",
    ]
    assert "-MemoryDenyWriteExecute=yes" in plan.changes[1].diff.splitlines()
    done(server, plan)
    assert ("systemctl", "daemon-reload") in server.ran
    assert planned(server, unconfined=["MemoryDenyWriteExecute"]).changes == []


def test_what_people_changed_is_put_right_but_their_environment_stays(server: Picture) -> None:
    done(server, planned(server))
    shop = server.layout()
    shop.env_file.write_text("SECRET=abc\n", encoding="utf-8")
    shop.env_file.chmod(0o644)
    shop.releases.chmod(0o777)
    plan = planned(server)
    assert [change.text.partition(" was ")[2] for change in plan.changes] == [
        "deploy:deploy 0777",
        "root:shop 0644",
    ]
    assert "abc" not in str(plan.changes)
    done(server, plan)
    assert shop.env_file.read_text(encoding="utf-8") == "SECRET=abc\n"
    assert planned(server).changes == []


def test_wherever_it_is_cut_the_next_run_finishes_it(server: Picture) -> None:
    """The sudo rule is the last of all: before it nobody can ask for a deploy."""
    count = len(planned(server).changes)
    for _ in range(count):
        rest = planned(server)
        assert not server.layout().sudoers.exists()
        part = next(part for part in rest.parts if part.change(server) is not None)
        part.make(server)
    assert planned(server).changes == []


def test_a_command_that_fails_says_so_and_the_next_run_goes_on(
    server: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(server, "run", fails_at("daemon-reload", server))
        with pytest.raises(Failed) as caught:
            done(server, planned(server))
    assert caught.value.evidence == "no bus"
    done(server, planned(server))
    assert planned(server).changes == []


def test_a_site_that_nginx_has_not_read_is_told_to_it(server: Picture) -> None:
    done(server, planned(server))
    server.front = Sites({"segue-shop": server.front.read("segue-shop") or ""}, unread={"segue-shop"})
    assert [change.text.split(", ")[1] for change in planned(server).changes] == ["which nginx has not read"]
    done(server, planned(server))
    assert planned(server).changes == []


def test_several_apps_share_segue_and_the_sudo_rule(server: Picture) -> None:
    done(server, planned(server))
    done(server, planned(server, "blog", domain="blog.example", deploy_user="ci"))
    assert [installed.app for installed in installed_apps(server.layout())] == ["blog", "shop"]
    assert planned(server).changes == []
    rules = server.layout().sudoers.read_text(encoding="utf-8").splitlines()
    assert [rule.split()[0] for rule in rules[2:]] == ["ci", "deploy"]
    assert "user shop is the app shop's already" in refused(server, "wiki", user="shop").evidence
    assert "is the app shop's user" in refused(server, "wiki", deploy_user="shop").evidence


def test_a_removal_takes_all_away_but_data_and_environment(server: Picture) -> None:
    before = server.tree()
    done(server, planned(server))
    (server.layout().shared / "shop.db").write_text("rows", encoding="utf-8")
    server.layout().current.symlink_to("releases/x")
    plan = plan_removal(server, server.layout())
    done(server, plan)
    left = server.tree().keys() - before.keys()
    assert left == {
        "etc/shop.env",
        "srv/shop",
        "srv/shop/shared",
        "srv/shop/shared/instance",
        "srv/shop/shared/shop.db",
        "run/segue-setup.lock",
    }
    assert [os.path.basename(kept) for kept in plan.kept] == ["shared", "shop.env", "user shop"]
    assert plan_removal(server, server.layout()).changes == []
    stopped = [argv for argv in server.ran if argv[:2] == ("systemctl", "stop")]
    assert stopped[1][2:] == ("segue-shop@*.service", "segue-shop@*.socket", "segue-shop-process@*.service")


def test_after_a_removal_the_app_can_come_back(server: Picture) -> None:
    done(server, planned(server))
    done(server, plan_removal(server, server.layout()))
    done(server, planned(server))
    assert planned(server).changes == []


def test_the_removal_of_one_app_leaves_the_others(server: Picture) -> None:
    done(server, planned(server, "blog", domain="blog.example", deploy_user="ci"))
    before = server.tree()
    done(server, planned(server))
    done(server, plan_removal(server, server.layout()))
    kept = {"etc/shop.env", "srv/shop", "srv/shop/shared", "srv/shop/shared/instance"}
    assert {path: text for path, text in server.tree().items() if path not in kept} == before
    assert planned(server, "blog", domain="blog.example", deploy_user="ci").changes == []


def test_a_removal_leaves_what_is_not_setups(server: Picture) -> None:
    foreign = server.layout().units / server.layout().keeper_unit
    foreign.write_text("[Unit]\n", encoding="utf-8")
    assert plan_removal(server, server.layout()).changes == []
