"""`segue setup` on a real server: made once, taken away again, refused where it should be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.machine.host import Host
from tests.support.site import Outcome, until

SEGUE = "/opt/segue/bin/segue"
ACTS = Path(__file__).parents[1] / "apps/acts.py"
OWN, OTHER = "20261121T013455-8c1f2e9.1", "20261121T013455-8c1f2e9.2"
LOOKED_AT = ("/etc", "/srv", "/opt", "/var/lib", "/home")


@dataclass
class Server:
    """A host with the project of an app on it."""

    host: Host
    segue: tuple[str, ...] = (SEGUE,)

    def project(self, app: str = "shop", keys: str = "") -> str:
        """The project's folder; its target is called production."""
        text = f'[app]\nname = "{app}"\n[targets.production]\ndomain = "{app}.example"\n{keys}\n'
        self.host.write(f"/root/{app}/segue.toml", text)
        return f"/root/{app}"

    def setup(self, *words: str, app: str = "shop", check: bool = True, user: str = "root") -> Outcome:
        return self.host.run(*self.segue, "setup", *words, cwd=f"/root/{app}", check=check, user=user)

    def document(self, *words: str, app: str = "shop") -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.setup("--json", *words, app=app, check=False).out)
        return document

    def state(self) -> str:
        """Names, modes, owners and times of all that a setup could write."""
        form = "%p %m %u %g %T@ %l\n"
        looked_at = self.host.run("find", *LOOKED_AT, "-not", "-path", "*/__pycache__*", "-printf", form).out
        return "\n".join(sorted(looked_at.splitlines()))

    def refused(self, *words: str, app: str = "shop") -> str:
        """What it says when it refuses; nothing was written."""
        before = self.state()
        outcome = self.setup("--yes", *words, app=app, check=False)
        assert outcome.code == 3, outcome
        assert self.state() == before
        return outcome.err


@pytest.fixture
def server(host: Host) -> Server:
    server = Server(host)
    server.project()
    return server


def test_a_fresh_server_is_set_up_and_then_there_is_nothing_to_do(server: Server) -> None:
    before = server.state()
    shown = server.setup("--dry-run").out
    assert "+ folder /srv/shop root:root 0755" in shown
    assert "    +User=shop" in shown
    assert server.state() == before
    assert server.document()["error"]["kind"] == "unconfirmed"
    assert server.state() == before
    server.setup("--yes")
    after = server.state()
    assert server.setup().out == "nothing to do\n"
    assert server.document() | {"changes": [], "applied": False} == server.document()
    assert server.state() == after


def test_what_was_made_is_sound(server: Server) -> None:
    server.setup("--yes")
    run = server.host.run
    units = [
        f"/etc/systemd/system/segue-shop{name}"
        for name in ("@.service", "@.socket", "-deploy@.service", ".service")
    ]
    assert run("systemd-analyze", "verify", "--man=no", *units).err == ""
    run("visudo", "-c")
    run("nginx", "-t")
    assert run("systemctl", "is-enabled", "segue-shop.service").out == "enabled\n"
    assert run("systemctl", "is-active", "segue-shop.service").out == "active\n"
    assert run(
        "stat", "-c", "%U:%G %a", "/etc/shop.env", "/srv/shop/shared", "/etc/sudoers.d/segue"
    ).out.splitlines() == [
        "root:shop 640",
        "shop:shop 751",
        "root:root 440",
    ]


def test_it_is_all_there_after_a_reboot(server: Server) -> None:
    server.setup("--yes")
    server.host.reboot()
    assert server.host.run("stat", "-c", "%U %a", "/run/segue/shop/front").out == "root 755\n"
    assert server.host.run("systemctl", "is-active", "segue-shop.service").out == "active\n"
    assert server.setup().out == "nothing to do\n"


def test_a_segue_from_elsewhere_makes_the_servers_own(server: Server) -> None:
    server.host.run("mv", "/opt/segue", "/usr/local/tool")
    server.segue = ("/usr/local/tool/bin/python", "-m", "segue")
    server.setup("--yes")
    assert server.host.run("readlink", "/opt/segue").out.startswith("segue-0.1.0-")
    assert server.setup().out == "nothing to do\n"
    server.segue = (SEGUE,)
    assert server.setup().out == "nothing to do\n"
    server.host.run("runuser", "-u", "shop", "--", "/opt/segue/bin/python", "-I", "-S", "-c", "pass")
    server.setup("--remove", "--yes")
    assert server.host.run("ls", "/opt").out.split() == ["wheels"]


def _recreated(server: Server) -> bool:
    """The site written anew; whether its file is by now so young that nginx's workers can't know it."""
    server.host.run("touch", "/etc/nginx/sites-available/segue-shop")
    return server.setup("--dry-run").out != "nothing to do\n"


def test_wherever_it_is_cut_the_server_is_sound_and_the_next_run_finishes_it(server: Server) -> None:
    """The kernel's own end, at some instants of the way; a run takes longer than the last of them."""
    server.host.run("mv", "/opt/segue", "/usr/local/tool")
    server.segue = ("/usr/local/tool/bin/python", "-m", "segue")
    for seconds in ("1.2", "1.6", "2", "2.5", "3", "3.5"):
        server.host.run(
            "timeout", "-s", "KILL", seconds, *server.segue, "setup", "--yes", cwd="/root/shop", check=False
        )
        server.host.run("nginx", "-t")
        server.host.run("visudo", "-c")
        asks = server.host.run("find", "/etc/sudoers.d", "-name", "segue").out != ""
        assert not asks or server.setup().out == "nothing to do\n"
    server.setup("--yes")
    assert server.setup().out == "nothing to do\n"
    curl = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: shop.example")
    assert server.host.run(*curl, "http://127.0.0.1/").out == "502"
    # as if it had died between the site and the reload, and later than a second after the last one
    until(lambda: _recreated(server), 30.0, "a younger file than nginx's workers")
    assert "which nginx has not read" in server.setup("--yes").out
    assert server.setup().out == "nothing to do\n"
    assert len(server.host.run("ls", "-A", "/opt").out.split()) == 3  # wheels, the copy, the link


def test_a_removal_leaves_data_and_environment_alone(server: Server) -> None:
    before = {line.split()[0] for line in server.state().splitlines()}
    server.setup("--yes")
    server.host.write("/srv/shop/shared/shop.db", "rows", owner="shop")
    server.host.write("/etc/shop.env", "SECRET=1", mode=0o640)
    server.host.run("systemctl", "start", f"segue-shop@{OTHER}.socket")
    said = server.setup("--remove", "--yes").out
    assert f"segue-shop@{OTHER}.socket" in said
    assert "kept: /srv/shop/shared, /etc/shop.env, user shop" in said
    left = {line.split()[0] for line in server.state().splitlines()} - before
    assert left - {
        f"/etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
    } == {
        "/etc/shop.env",
        "/srv/shop",
        "/srv/shop/shared",
        "/srv/shop/shared/instance",
        "/srv/shop/shared/shop.db",
        # segue was there before, and setup did not make it
        "/opt/segue/segue",
        "/opt/segue/bin/segue-exec",
    }
    assert server.host.run("systemctl", "list-units", "--all", "--no-legend", "segue-*").out == ""
    assert not server.host.exists("/run/segue")
    server.host.run("nginx", "-t")
    assert server.setup("--remove").out == "nothing to do\n"
    server.setup("--yes")
    assert server.host.read("/etc/shop.env") == "SECRET=1"


def test_two_apps_on_one_server(server: Server) -> None:
    server.project("blog")
    server.setup("--yes")
    server.setup("--yes", app="blog")
    assert server.setup().out == "nothing to do\n"
    server.setup("--remove", "--yes")
    assert server.setup(app="blog").out == "nothing to do\n"
    assert server.host.run("systemctl", "is-active", "segue-blog.service").out == "active\n"
    assert "segue-exec" in server.host.read("/etc/sudoers.d/segue")


def _site(server: Server, text: str) -> None:
    server.host.write("/etc/nginx/sites-available/other", text)
    server.host.run("ln", "-s", "../sites-available/other", "/etc/nginx/sites-enabled/other")


def test_another_site_on_the_same_name_is_left_alone(server: Server) -> None:
    _site(server, "server { listen 80; server_name www.example shop.example; }")
    assert "sites-enabled/other" in server.refused()


def test_nothing_is_added_to_a_broken_config(server: Server) -> None:
    _site(server, "server { listen 80; servername x; }")
    assert "servername" in server.refused()


def test_a_foreign_file_in_the_way_is_left_alone(server: Server) -> None:
    server.host.write("/etc/systemd/system/segue-shop.service", "[Unit]\n")
    assert "segue-shop.service is there" in server.refused()


def test_the_app_runs_as_no_person(server: Server) -> None:
    server.project(keys='user = "ann"')
    server.host.run("useradd", "--create-home", "--shell", "/bin/bash", "ann")
    assert "user ann can log in" in server.refused()


def test_only_root_sets_up(server: Server) -> None:
    server.host.run("chmod", "755", "/root")
    before = server.state()
    outcome = server.setup("--yes", user="deploy", check=False)
    assert outcome.code == 3
    assert "Only root can set up a server" in outcome.err
    assert server.state() == before


def test_the_deploy_user_may_run_one_command_without_words(server: Server) -> None:
    server.setup("--yes")

    def sudo(*words: str) -> Outcome:
        return server.host.run("sudo", "-n", *words, user="deploy", check=False, input="{}\n")

    assert json.loads(sudo("/opt/segue/bin/segue-exec").out)["document"]["ok"] is False
    refused = "a password is required"
    assert refused in sudo("/opt/segue/bin/segue-exec", "x").err
    assert refused in sudo("/opt/segue/bin/python").err
    assert refused in sudo("-u", "shop", "/opt/segue/bin/segue-exec").err
    assert refused in sudo("systemctl", "start", "segue-shop.service").err
    assert "not allowed" in sudo("PYTHONPATH=/tmp", "/opt/segue/bin/segue-exec").err


def _prepare(server: Server) -> None:
    """Two generations' worth of what the app must not touch."""
    server.project("blog")
    server.setup("--yes")
    server.setup("--yes", app="blog")
    run, state = server.host.run, "/var/lib/segue/shop/generations"
    run("install", "-d", "-o", "root", "-g", "shop", "-m", "1770", f"{state}/{OWN}", f"{state}/{OTHER}")
    run("systemctl", "start", f"segue-shop@{OTHER}.socket")
    run("ln", "-s", f"../{OTHER}/http.sock", "/run/segue/shop/front/live.sock")
    server.host.write("/srv/shop/releases/20261121T013455-8c1f2e9/wsgi.py", "", owner="deploy")
    server.host.write("/etc/shop.env", "WHOSE=shop\n", mode=0o640)
    server.host.write("/usr/local/acts.py", ACTS.read_text(encoding="utf-8"))


def test_each_forbidden_act_is_denied_to_the_app(server: Server) -> None:
    """In the very unit that setup made; only what it starts is another."""
    _prepare(server)
    unit, result = f"segue-shop@{OWN}.service", "/srv/shop/shared/result"
    acts = f"/usr/bin/python3 -I -S /usr/local/acts.py {result}"
    words = (
        f"[Service]\nType=oneshot\nRestart=no\nExecStartPre=\nExecStartPost=\nExecStart=\nExecStart={acts}\n"
    )
    server.host.write(f"/run/systemd/system/{unit}.d/acts.conf", words)
    server.host.run("systemctl", "daemon-reload")
    server.host.run("systemctl", "start", unit)
    came, forbidden, allowed = json.loads(server.host.read(result))
    assert {name: came[name] for name in allowed} == dict.fromkeys(allowed, "done")
    assert [name for name in forbidden if not came[name].startswith("refused")] == []
    assert came["environment"] == "shop"


def test_root_without_the_sandbox_can_do_each_of_them(server: Server) -> None:
    """The counterpart: none of them fails for another reason."""
    _prepare(server)
    server.host.run("/usr/bin/python3", "-I", "-S", "/usr/local/acts.py", "/root/result")
    came, forbidden, allowed = json.loads(server.host.read("/root/result"))
    assert {name: came[name] for name in forbidden + allowed if came[name] != "done"} == {}
