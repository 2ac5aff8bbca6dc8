"""Who may do what on a server: root, the deploy user, another app's deploy user, and the app's own user."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.machine.lines import ASKED, EXEC, demand_harmless, refusal, told, tried
from tests.support.machine.served import SEGUE, STATE, Served, served
from tests.support.site import demand_no_loss

SAMPLER = Path(__file__).parents[1] / "apps/sampler.py"
BLOG = '[app]\nname = "blog"\n[targets.production]\ndomain = "blog.example"\ndeploy_user = "writer"\n'


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    """The app of the deploy user's, beside another one that is the user `writer`'s."""
    with served() as app:
        app.host.write("/root/blog/segue.toml", BLOG)
        app.host.run(SEGUE, "setup", "production", "--yes", cwd="/root/blog", timeout=120)
        app.host.write("/etc/blog.env", "TOKEN=of-the-blog\n", mode=0o640)
        app.host.run("chgrp", "blog", "/etc/blog.env")
        yield app


FORBIDDEN = {
    "start_a_unit": ("systemctl", "start", "segue-shop@20261121T013455-8c1f2e9.1.service"),
    "start_a_deploy": ("systemctl", "start", f"segue-shop-deploy@{'0' * 32}.service"),
    "stop_the_app": ("systemctl", "stop", "segue-shop.service"),
    "stop_nginx": ("systemctl", "stop", "nginx"),
    "run_as_root": ("systemd-run", "--pipe", "id"),
    "sudo_anything": ("sudo", "-n", "id"),
    "sudo_a_shell": ("sudo", "-n", "-s"),
    "sudo_an_argument": ("sudo", "-n", EXEC, "--help"),
    "sudo_an_empty_argument": ("sudo", "-n", EXEC, ""),
    "sudo_its_environment": ("sudo", "-n", "-E", EXEC),
    "sudo_a_variable": ("sudo", "-n", "PYTHONPATH=/home/deploy", EXEC),
    "sudo_in_a_folder": ("sudo", "-n", "-D", "/home/deploy", EXEC),
    "sudo_its_python": ("sudo", "-n", "/opt/segue/bin/python", "-c", "pass"),
    "sudo_the_cli": ("sudo", "-n", SEGUE, "status"),
    "sudo_by_another_path": ("sudo", "-n", "/opt/segue/bin/../bin/segue-exec"),
    "sudo_as_the_app": ("sudo", "-n", "-u", "shop", "id"),
    "sudo_as_another_group": ("sudo", "-n", "-g", "shadow", EXEC),
    "sudo_edit": ("sudoedit", "-n", "/etc/shop.env"),
    "read_the_env_file": ("cat", "/etc/shop.env"),
    "read_another_env_file": ("cat", "/etc/blog.env"),
    "read_requests": ("ls", f"{STATE}/requests"),
    "write_the_record": ("touch", f"{STATE}/record.json"),
    "change_segue": ("touch", "/opt/segue/harm"),
    "enter_another_app": ("touch", "/srv/blog/releases/harm"),
    "point_the_link": ("ln", "-sfn", "../x/http.sock", "/run/segue/shop/front/live.sock"),
    "point_current": ("ln", "-sfn", "releases/x", "/srv/shop/current"),
}
FORBIDDEN_TO_THE_APP = {
    "point_the_link": FORBIDDEN["point_the_link"],
    "point_current": FORBIDDEN["point_current"],
    "remove_the_link": ("rm", "/run/segue/shop/front/live.sock"),
    "read_another_env_file": ("cat", "/etc/blog.env"),
    "write_the_record": FORBIDDEN["write_the_record"],
    "write_code": ("touch", "/srv/shop/current/wsgi.py"),
    "write_its_start": ("sh", "-c", f"touch {STATE}/generations/*/start.json"),
    "take_away_its_start": ("sh", "-c", f"rm -f {STATE}/generations/*/start.json"),
    "ask_for_a_deploy": ("sudo", "-n", EXEC),
}


@pytest.mark.parametrize("words", FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_the_deploy_user_may_not(app: Served, words: tuple[str, ...]) -> None:
    assert tried(app.host, *words).code != 0
    demand_harmless(app)


@pytest.mark.parametrize("words", FORBIDDEN_TO_THE_APP.values(), ids=FORBIDDEN_TO_THE_APP)
def test_what_the_apps_user_may_not(app: Served, words: tuple[str, ...]) -> None:
    assert tried(app.host, *words, user="shop").code != 0
    demand_harmless(app)


def test_what_lies_about_is_not_imported_as_root(app: Served) -> None:
    evil = 'open("/root/harm", "w").close()\n'
    for name in ("json.py", "segue/__init__.py", "sitecustomize.py", "usercustomize.py"):
        app.host.write(f"/home/deploy/evil/{name}", evil, owner="deploy")
    given = ("PYTHONPATH=/home/deploy/evil", "PYTHONHOME=/home/deploy/evil", "PYTHONSTARTUP=evil/json.py")
    asked = tried(app.host, "env", *given, "sudo", "-n", EXEC, cwd="/home/deploy/evil", input="{}\n")
    assert refusal(asked, 3)["kind"] == "server_version"
    demand_harmless(app)


@pytest.mark.parametrize("verb", ["deploy", "rollback", "restart", "status", "logs", "recover"])
def test_another_apps_deploy_user_may_not_ask(app: Served, verb: str) -> None:
    error = refusal(told(app, replace(ASKED, verb=verb).as_dict(), user="writer"), 3)
    assert (error["kind"], error["evidence"]) == ("not_yours", "its deploy user is deploy")
    demand_harmless(app)


PLANTED = ("check.1", "crashed.1", "counters.2", "counters.ended", "refused.json", "ready.x1")
PLANTS_AT_IMPORT = """
import os
folder = os.environ.get("SEGUE_GENERATION_FOLDER", "")
if os.path.isdir(folder):
    for name in ("check.1", "crashed.1"):
        if not os.path.lexists(f"{folder}/{name}"):
            os.symlink("/etc/shadow", f"{folder}/{name}")
"""


def test_what_the_app_plants_leads_root_nowhere(app: Served) -> None:
    live = app.record()["live"]
    folder = f"{STATE}/generations/{live}"
    for name in PLANTED:
        app.host.run("ln", "-sf", "/etc/shadow", f"{folder}/{name}", user="shop")
    for name in ("check.3", "counters.3", "crashed.3"):
        app.host.run("mkfifo", f"{folder}/{name}", user="shop")
    for name, goal in (("leaving", "/etc/nologin"), ("no", "/etc/harm")):
        app.host.run("ln", "-s", goal, f"{folder}/{name}", user="shop")
    app.edit("planting", PLANTS_AT_IMPORT, settings={"standby": "0s"})
    with app.traffic() as load:
        receipt = app.ask("deploy")
        app.edit("good")
        app.ask("deploy")
        app.ask("status")
    demand_no_loss(load)
    assert "root:" not in json.dumps(receipt)
    assert "root:" not in app.host.run("sh", "-c", f"cat {STATE}/receipts/* {STATE}/events.jsonl").out
    assert not app.host.exists("/etc/nologin")
    assert not app.host.exists("/etc/harm")


def test_the_deploy_user_deploys_and_nothing_of_the_apps_is_roots(app: Served) -> None:
    app.host.write("/home/deploy/json.py", "raise SystemExit('not what was meant')\n", owner="deploy")
    app.host.write("/usr/local/sampler.py", SAMPLER.read_text(encoding="utf-8"))
    sampler = app.host.start("/usr/bin/python3", "-I", "/usr/local/sampler.py", "/run/enough")
    app.edit("good", import_seconds=0.2)
    receipt = app.ask("deploy")
    assert app.ask("rollback")["previous"] == receipt["generation"]
    assert "Booting worker" in app.segue("logs", "production", "--lines=500").out
    app.host.run("touch", "/run/enough")
    out, err = sampler.communicate(timeout=60)
    seen = [tuple(one) for one in json.loads(out)]
    assert err == ""
    _demand_least_privilege(seen)


SEGUES_OWN = (
    "/opt/segue/bin/python -I -m segue.server.",
    "/opt/segue/bin/python -P -m segue.proof.probe_process",
    *("systemctl ", "systemd-run ", "journalctl "),
    # systemd, about to become one of them: its own name, and that of the init it was forked from
    *("(", "/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/sbin/init"),
)


def _demand_least_privilege(seen: list[tuple[str, str, str]]) -> None:
    """Root runs nothing but segue's own; the deploy user builds, and the app's user runs the app."""
    roots = [words for _, user, words in seen if user == "root"]
    assert [words for words in roots if not words.startswith(SEGUES_OWN)] == []
    assert {user for _, user, words in seen if "segue.build" in words} == {"deploy"}
    apps = [(unit, user) for unit, user, words in seen if "/srv/shop/releases" in words]
    assert {user for unit, user in apps if unit.startswith("segue-shop@")} == {"shop"}
    assert {user for unit, user in apps if unit.startswith("segue-shop-task-")} == {"shop"}
