"""Hostile names, values and lines: refused with the reason before a shell, a path or a config has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.machine.host import CHECKOUT
from tests.support.machine.lines import ASKED, demand_harmless, refusal, told, tried
from tests.support.machine.served import SEGUE, STATE, Served, served
from tests.support.site import until

from segue.build.source import Source

HOSTILE = (
    "../shop", "/etc/passwd", "shop;touch /root/harm", "$(touch /root/harm)", "`touch /root/harm`", "a\nb",
    "shop blog", "-o", "--help", "shop%n", "sh'op", 'sh"op', "s\u00e9gue", "a" * 300, "",
)  # fmt: skip


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served() as app:
        yield app


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_app_name_is_refused(app: Served, name: str) -> None:
    assert refusal(told(app, {**ASKED.as_dict(), "app": name}), 2)["kind"] in ("app_name", "request")
    app.host.write(
        "/home/deploy/odd/segue.toml", f"[app]\nname = {json.dumps(name)}\n[targets.p]\ndomain='a.b'"
    )
    assert tried(app.host, SEGUE, "deploy", "p", cwd="/home/deploy/odd").code == 2
    assert tried(app.host, SEGUE, "setup", "p", "--yes", cwd="/home/deploy/odd", user="root").code == 2
    demand_harmless(app)


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_a_hostile_release_revision_or_domain_is_refused(app: Served, name: str) -> None:
    asked = app.segue("rollback", "production", f"--to={name}")
    assert (asked.code, asked.err.splitlines()[0]) == (2, f"error: There is no release {name!r}."), asked
    assert refusal(told(app, replace(ASKED, verb="receipt", args={"to": name}).as_dict()), 2)
    asked = app.segue("deploy", "production", f"--rev={name}")
    assert (asked.code, asked.err.splitlines()[0][:26]) == (2, "error: There is no revision"[:26]), asked
    app.host.write("/root/odd/segue.toml", f'[app]\nname = "odd"\n[targets.p]\ndomain = {json.dumps(name)}\n')
    assert tried(app.host, SEGUE, "setup", "p", "--yes", cwd="/root/odd", user="root").code in (2, 3)
    assert not app.host.exists("/etc/systemd/system/segue-odd.service")
    demand_harmless(app)


def _with_source(**words: Any) -> dict[str, Any]:
    source = {**asdict(ASKED.source or Source(Path())), "folder": CHECKOUT, **words}
    return {**ASKED.as_dict(), "source": source}


NO_REQUESTS = {
    "nothing": "",
    "no_json": "deploy",
    "no_object": "[]",
    "half": '{"version":',
    "huge": "x" * 10_000_000,
    "huge_json": json.dumps({"version": "x" * 5_000_000}),
    "nested": "[" * 50_000,
    "nested_object": '{"a":' * 10_000,
    "large_number": "1" * 50_000,
    "unknown_key": {**ASKED.as_dict(), "user": "root"},
    "unknown_verb": {**ASKED.as_dict(), "verb": "setup"},
    "wrong_verb": {**ASKED.as_dict(), "verb": ["deploy"]},
    "unknown_arg": {**ASKED.as_dict(), "args": {"as": "root"}},
    "wrong_arg": {**ASKED.as_dict(), "args": {"to": {"a": 1}}},
    "zero_byte": {**ASKED.as_dict(), "args": {"to": "a\0b"}},
    "wrong_args": {**ASKED.as_dict(), "args": "to"},
    "wrong_app": {**ASKED.as_dict(), "app": 7},
    "long_by": {**ASKED.as_dict(), "by": "x" * 10_000},
    "newline_by": {**ASKED.as_dict(), "by": "me\nroot"},
    "wrong_config": {**ASKED.as_dict(), "config": {"name": "shop", "workers": "many"}},
    "no_source": {**ASKED.as_dict(), "source": None},
    "no_module": {**ASKED.as_dict(), "module": ""},
    "no_config": {**ASKED.as_dict(), "config": None},
    "privileged_config": {**ASKED.as_dict(), "config": {"name": "shop", "user": "root"}},
    "odd_check": {**ASKED.as_dict(), "config": {"name": "shop", "check": "/a b\r\nX: y"}},
    "odd_shared": {**ASKED.as_dict(), "config": {"name": "shop", "shared": ["../../etc"]}},
    "odd_module": {**ASKED.as_dict(), "module": "os;system"},
    "wrong_source": {**ASKED.as_dict(), "source": CHECKOUT},
    "relative_source": _with_source(folder="../.."),
    "odd_commit": _with_source(commit="--output=/root/harm"),
    "odd_revision": _with_source(revision="../../x"),
}


@pytest.mark.parametrize("document", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_what_is_no_request_is_refused(app: Served, document: object) -> None:
    before = app.host.run("ls", f"{STATE}/requests").out
    error = refusal(told(app, document), 2)
    assert error["kind"] == "request"
    assert error["message"].startswith("That is no request")
    assert app.host.run("ls", f"{STATE}/requests").out == before
    demand_harmless(app)


def test_a_source_is_read_with_the_deploy_users_eyes(app: Served) -> None:
    """Somebody else's folder, a link to one, and one with a link out of it: nothing of it is released."""
    app.host.write("/root/private/wsgi.py", "secret = 1\n")
    app.host.write("/home/deploy/open/wsgi.py", "app = None\n", owner="deploy")
    app.host.run("ln", "-s", "/root/private", "/home/deploy/link", user="deploy")
    app.host.run("ln", "-s", "/etc/shadow", "/home/deploy/open/shadow")
    before = app.look()
    for folder in ("/root/private", "/home/deploy/link", "/home/deploy/open", "/nowhere", "/etc"):
        error = refusal(told(app, _with_source(folder=folder)), 1)
        assert "secret" not in json.dumps(error)
    until(lambda: app.look() == before, what="the end of the deploys")
    assert app.host.run("ls", "/srv/shop/releases").out.split() == [before.current.split("/")[1]]
    demand_harmless(app)


def test_a_hostile_value_in_the_environment_is_only_a_text(app: Served) -> None:
    value = "../ $(touch /srv/shop/shared/harm) `touch /tmp/harm` ; -o %n ${HOME} 'x"
    was = app.host.read("/etc/shop.env")
    app.host.write(
        "/etc/shop.env",
        f'{was}\nHOSTILE="{value.replace("$", chr(92) + "$").replace("`", chr(92) + "`")}"\n',
        mode=0o640,
    )
    app.host.run("chgrp", "shop", "/etc/shop.env")
    app.edit("good", 'open(HERE / "instance" / "hostile", "w").write(os.environ["HOSTILE"])')
    receipt = app.ask("deploy")
    assert app.host.read("/srv/shop/shared/instance/hostile") == value
    assert "touch" not in json.dumps(receipt)
    assert not app.host.exists("/srv/shop/shared/harm")
    demand_harmless(app)
