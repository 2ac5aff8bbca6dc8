"""The keeper's socket: only its user reaches it, and whatever comes in, the keeper is unharmed."""

from __future__ import annotations

import contextlib
import json
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.apps import make_app
from tests.support.bad import on_disk
from tests.support.site import Site, configure, demand_no_loss, serving, traffic

from segue import __version__

ANSWER_TIMEOUT = 60.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One keeper for all bad input: it has to survive all of it."""
    folder = tmp_path_factory.mktemp("asking") / "project"
    make_app(folder, version="v1")
    configure(folder)
    with serving(folder) as site:
        yield site


def ear(site: Site) -> Path:
    keeper = site.home.read_keeper()
    assert keeper is not None
    return Path(keeper["socket"])


@contextlib.contextmanager
def connected(site: Site) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(ANSWER_TIMEOUT)
        client.connect(str(ear(site)))
        yield client


def answer_to(site: Site, data: bytes) -> dict[str, Any]:
    """The one line that the keeper answers to `data`."""
    with connected(site) as client:
        # an answer may come before all of a long line is sent
        with contextlib.suppress(ConnectionError):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        return last_word(client)


def last_word(client: socket.socket) -> dict[str, Any]:
    with client.makefile("rb") as lines:
        line = lines.readline()
        with contextlib.suppress(ConnectionError):
            assert lines.readline() == b""
    answer: dict[str, Any] = json.loads(line)
    return answer


def request(verb: Any = "deploy", version: str = __version__, **args: Any) -> bytes:
    return json.dumps({"version": version, "verb": verb, "args": args, "by": "test"}).encode() + b"\n"


def raw(**document: Any) -> bytes:
    return json.dumps({"version": __version__, **document}).encode() + b"\n"


# what comes in -> the exit code, the kind and a part of the message that go out
BAD_INPUT: dict[str, tuple[bytes, int, str, str]] = {
    "nothing": (b"", 2, "request", "That is no request"),
    "an_empty_line": (b"\n", 2, "request", "That is no request"),
    "garbage": (b"\x00\xff\xfe GET / HTTP/1.1\r\n\r\n", 2, "request", "That is no request"),
    "half_a_line": (b'{"verb": "dep', 2, "request", "That is no request"),
    "a_huge_line": (b'{"verb": "' + b"x" * 2_000_000 + b'"}\n', 2, "request", "That is no request"),
    "endless_nesting": (b"[" * 60_000 + b"\n", 2, "request", "nested too deeply"),
    "an_array": (b'["deploy"]\n', 2, "request", "a request is a JSON object"),
    "no_version": (b'{"verb": "deploy"}\n', 3, "keeper_version", "this is segue None"),
    "another_version": (request(version="99.1"), 3, "keeper_version", "this is segue 99.1"),
    "a_long_version": (
        request(version="9" * 5000),
        3,
        "keeper_version",
        "this is segue 99999999999999999999.",
    ),
    "unknown_verb": (request("destroy"), 2, "verb", "knows no verb 'destroy'"),
    "a_verb_that_is_no_text": (request(["deploy"]), 2, "verb", "knows no verb"),
    "no_verb": (raw(args={}), 2, "verb", "knows no verb"),
    "args_that_are_a_list": (raw(verb="deploy", args=["--rev", "v1"]), 2, "request", "args are an object"),
    "an_unknown_arg": (request(force=True), 2, "request", "there is no arg 'force'"),
    "a_number_for_a_path": (request(path=7), 2, "request", "the arg 'path' is no text"),
    "a_nul_in_a_revision": (request(rev="v1\0"), 2, "request", "the arg 'rev' is no text"),
    "text_for_a_flag": (request(wait="yes"), 2, "request", "the arg 'wait' is no true or false"),
    "an_option_for_a_revision": (request(rev="--output=/tmp/x"), 2, "revision", "There is no revision"),
    "a_path_for_a_release": (request("rollback", to="../../etc"), 2, "release", "There is no release"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_gets_an_error_line_and_does_no_harm(site: Site, name: str) -> None:
    data, code, kind, message = BAD_INPUT[name]
    before, controller = on_disk(site.folder), site.controller()
    answer = answer_to(site, data)
    assert answer["exit_code"] == code
    assert answer["document"]["ok"] is False
    assert answer["document"]["error"]["kind"] == kind
    assert message in answer["document"]["error"]["message"]
    assert on_disk(site.folder) == before
    assert site.controller() == controller
    assert controller.alive()


def trickle(client: socket.socket) -> float:
    """Send a byte now and then, never a newline, until the keeper has had enough; how long that took."""
    began = time.monotonic()
    client.settimeout(0.1)
    while time.monotonic() - began < ANSWER_TIMEOUT:
        with contextlib.suppress(TimeoutError):
            if client.recv(1, socket.MSG_PEEK):
                break
        client.sendall(b" ")
    client.settimeout(ANSWER_TIMEOUT)
    return time.monotonic() - began


def test_a_line_that_never_ends_is_given_up_and_holds_up_nobody(site: Site) -> None:
    """Deploys go on beside it, and beside askers that go away at once or never read."""
    with connected(site) as slow, connected(site) as silent, traffic(f"{site.url}/") as load:
        silent.sendall(request("recover", wait=True))
        for _ in range(50):
            with connected(site) as gone:
                gone.sendall(request("deploy", dry_run=True)[:40])
        slow.sendall(b'{"verb": ')
        make_app(site.folder, version="v2")
        assert site.deploy("--wait")["ok"]
        waited = trickle(slow)
        answer = last_word(slow)
    demand_no_loss(load)
    assert waited < 15
    assert answer["exit_code"] == 2
    assert "No request came within 10 s." in answer["document"]["error"]["message"]
    assert site.at_rest()


def test_an_asker_that_goes_away_leaves_the_deploy_to_its_own_verdict(site: Site) -> None:
    with connected(site) as client, client.makefile("rb") as lines:
        client.sendall(request("deploy"))
        event = json.loads(lines.readline())["event"]
        assert event["event"] == "begin"
    assert site.segue("restart", "--wait", "--json").code == 0
    assert site.home.read_record().previous == event["deploy"]
    assert site.segue("receipt", event["deploy"], "--json").document["ok"]


def test_only_its_user_reaches_the_socket(site: Site) -> None:
    assert stat.S_IMODE(ear(site).stat().st_mode) == 0o600
    assert stat.S_IMODE(ear(site).parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(ear(site).parent.parent.stat().st_mode) == 0o700
