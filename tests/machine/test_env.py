"""The env contract on a real server; and our reading of an EnvironmentFile, held to the real systemd's."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.bad import demand_good_error, demand_shown
from tests.support.env_files import NASTY
from tests.support.machine.host import CHECKOUT, Host
from tests.support.machine.served import STATE, Served, served
from tests.support.site import demand_no_loss, until

from segue.config.env_file import read_as_systemd

FILE = "/etc/shop.env"
EXAMPLE = "# what the shop needs\nSECRET_KEY=change-me-in-production\nMAIL_FROM=shop@shop.example\n# OFF=1\n"
ENV = '\n[env]\nDATABASE_URL = "url"\nSECRET_KEY = "secret"\nPORT = "int?"\n'
SECRETS = ("s3cret-of-the-shop-1", "s3cret-of-the-shop-2", "pa55-in-a-url")
GOOD = f"""\
DATABASE_URL=postgresql://shop:{SECRETS[2]}@db.example/shop
SECRET_KEY={SECRETS[0]}
MAIL_FROM="Shop <shop@shop.example>"
"""


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served() as app:
        yield app


def set_env(app: Served, text: str) -> None:
    app.host.write(FILE, text, mode=0o640)
    app.host.run("chgrp", "shop", FILE)


def demand_env(app: Served, version: str = "needy") -> None:
    """Have the next version demand an environment, in its config and by its example."""
    app.edit(version, files={".env.example": EXAMPLE})
    config = app.host.read(f"{CHECKOUT}/segue.toml")
    app.host.write(f"{CHECKOUT}/segue.toml", config + ENV, owner="deploy")


def refused(app: Served, *words: str) -> dict[str, Any]:
    """What a verb that must be refused says, to machines and people; it leaves everything as it was."""
    # systemd forgets a unit a moment after its end
    until(lambda: not [unit for unit in app.units() if "-deploy@" in unit], what="the end of the last deploy")
    before, config = app.look(), app.host.read(f"{STATE}/config.json")
    with app.traffic() as load:
        error = app.ask(*words, code=3)["error"]
        shown = app.segue(words[0], "production", *words[1:])
    demand_no_loss(load)
    assert shown.code == 3
    demand_good_error(error)
    demand_shown(error, shown.err)
    until(lambda: app.look() == before, what=f"{before}, instead of {app.look()},")
    assert app.host.read(f"{STATE}/config.json") == config
    return error  # type: ignore[no-any-return]


def as_real_systemd_reads(host: Host, text: str) -> dict[str, str]:
    """The environment that a unit gets by a file with `text`."""
    host.write("/root/nasty.env", text)
    words = ("systemd-run", "--quiet", "--wait", "--pipe", "--collect")
    told = ("/bin/sh", "-c", "env -0 | base64")  # it has to come as it is, ends of lines too
    done = host.run(*words, "--property=EnvironmentFile=/root/nasty.env", *told)
    return dict(line.split("=", 1) for line in b64decode(done.out).decode().split("\0") if line)


def test_our_reading_is_the_real_systemds(app: Served) -> None:
    version = int(app.host.run("systemctl", "--version").out.split()[1])
    plain = as_real_systemd_reads(app.host, "").keys()
    real = {name: as_real_systemd_reads(app.host, text) for name, (text, _) in NASTY.items()}
    for values in real.values():
        for key in plain:
            values.pop(key, None)
    assert {name: read_as_systemd(text, version) for name, (text, _) in NASTY.items()} == real


def test_what_the_environment_lacks_is_refused_before_anything_is_touched(app: Served) -> None:
    set_env(app, f'DATABASE_URL = shop.db\nexport SECRET_KEY={SECRETS[0]}\nPORT="80 80"\n')
    demand_env(app)
    for words in (("deploy",), ("deploy", "--dry-run")):
        error = refused(app, *words)
        assert (error["kind"], error["message"]) == ("env", "The environment is not as the app needs it.")
        assert sorted(error["evidence"].splitlines()) == [
            "DATABASE_URL: is no URL: SCHEME://..., without spaces",
            "MAIL_FROM: is missing, and .env.example names it",
            "PORT: is no whole number",
            "SECRET_KEY: is missing, as systemd reads it; python-dotenv reads it otherwise",
        ]
        assert "`sudoedit /etc/shop.env`" in error["hint"]
    set_env(app, GOOD.replace(SECRETS[0], "change-me-in-production"))
    assert refused(app, "deploy")["evidence"] == "SECRET_KEY: still has the value of .env.example"


def test_a_file_that_systemd_would_not_read_is_refused(app: Served) -> None:
    app.host.run("sh", "-c", rf"printf 'A=1\n\377=1\n' >{FILE}")
    assert app.host.run(
        "systemd-run", "--wait", f"--property=EnvironmentFile={FILE}", "true", check=False
    ).code
    assert refused(app, "restart")["evidence"] == "line 2 is not UTF-8"
    app.host.run("rm", FILE)
    assert refused(app, "deploy")["evidence"] == "no such file or directory"


def test_only_names_are_told_of_what_is_new_and_what_is_read_otherwise(app: Served) -> None:
    set_env(app, GOOD)
    demand_env(app, "v2")
    first = app.ask("deploy")
    assert ("env", "4 keys") in [(one["name"], one["detail"][:6]) for one in first["steps"]], first["steps"]
    changed = GOOD.replace(SECRETS[0], SECRETS[1]).replace("MAIL_FROM", "EXTRA='b' # c\nMAIL_FROM")
    set_env(app, changed)
    second = app.ask("restart")
    live = first["generation"]
    assert f"in the environment since {live} started: EXTRA added; SECRET_KEY changed" in second["notes"]
    assert f"systemd and python-dotenv read {FILE} differently: EXTRA" in second["notes"]
    set_env(app, GOOD.replace("MAIL_FROM=", "MAIL="))
    assert refused(app, "restart")["evidence"] == "MAIL_FROM: is missing, and .env.example names it"
    set_env(app, changed)
    demand_no_secret(app, first, second)


def demand_no_secret(app: Served, *receipts: dict[str, Any]) -> None:
    patterns = [word for secret in SECRETS for word in ("-e", secret)]
    kept = app.host.run("grep", "-rF", *patterns, STATE, "/srv/shop", check=False)
    for text in (kept.out, app.host.journal(), json.dumps(receipts)):
        assert not [secret for secret in SECRETS if secret in text]


def test_the_apps_user_cant_read_what_is_remembered(app: Served) -> None:
    file = f"{STATE}/generations/{app.record()['live']}/env.json"
    assert app.host.run("stat", "-c", "%U %a", file).out.split() == ["root", "600"]
    assert app.host.run("cat", file, user="shop", check=False).code != 0
    assert app.host.run("rm", "-f", file, user="shop", check=False).code != 0
