"""Two deploys at once, and Ctrl-C: one sentence, the documented exit code, and users notice nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from tests.support.apps import make_app
from tests.support.bad import demand_good_error, demand_shown, demand_untouched, processes_of, state_of
from tests.support.site import Site, configure, demand_no_loss, serving, traffic, until

from segue.core.record import Phase

SLOW_IMPORT = 2.0
FILLING = b" " * 4096


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One keeper for all: each test leaves it at rest."""
    folder = tmp_path_factory.mktemp("interrupted") / "project"
    make_app(folder, version="v1")
    configure(folder, drain_timeout="60s", ready_timeout="120s")
    with serving(folder) as site:
        yield site


def slow(site: Site, seconds: float = SLOW_IMPORT) -> None:
    make_app(site.folder, version="slow", import_seconds=seconds)


def endless(site: Site) -> None:
    make_app(site.folder, version="endless", import_hang=True)


def in_phase(site: Site, phase: Phase) -> None:
    until(lambda: site.home.read_record().phase is phase, what=f"phase {phase.value}")


@contextlib.contextmanager
def asked(site: Site, *words: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A segue command that is under way; it has ended when the block has."""
    with site.ask(*words, stdout=stdout) as asker:
        try:
            yield asker
        finally:
            if asker.poll() is None:
                asker.kill()


def ended(asker: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    """How the command ended: its exit code, its one document, and what it told people."""
    out, err = asker.communicate(timeout=60)
    return asker.returncode, json.loads(out), err


def told(asker: subprocess.Popen[str], word: str) -> None:
    """Read what `asker` tells people up to the line with `word`."""
    assert asker.stderr is not None
    assert any(word in line for line in asker.stderr), f"it never said {word!r}"


def waits(asker: subprocess.Popen[str]) -> bool:
    """Whether `asker` waits for an answer: it has a socket, and sleeps."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{asker.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "S" and talks(asker)
    return False


def talks(asker: subprocess.Popen[str]) -> bool:
    """Whether `asker` has a socket."""
    found = []
    for link in Path(f"/proc/{asker.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(os.readlink(link))
    return any(link.startswith("socket:") for link in found)


# two at once


def test_a_second_deploy_is_refused_at_once_and_with_wait_it_queues(site: Site) -> None:
    endless(site)
    live = site.home.read_record().live
    with traffic(f"{site.url}/") as load, asked(site, "deploy", "--json") as first:
        in_phase(site, Phase.IMPORT)
        candidate = site.home.read_record().candidate
        for words in (("deploy",), ("restart",), ("recover",)):
            error = demand_untouched(site.folder, 3, *words)
            assert error["kind"] == "locked"
            assert error["message"] == f"The deploy of {candidate} is under way."
            assert "asked for by " in error["evidence"]
            assert "its last step, build, is done" in error["evidence"]
            assert "--wait" in error["hint"]
        make_app(site.folder, version="second")
        with asked(site, "deploy", "--wait", "--json") as second:
            until(lambda: waits(second), what="the second in the queue")
            assert first.poll() is None
            first.send_signal(signal.SIGINT)
            assert ended(first)[0] == 130
            code, receipt, _ = ended(second)
    demand_no_loss(load)
    assert code == 0
    assert receipt["previous"] == live
    assert site.at_rest()


def test_the_lock_of_a_deploy_that_died_is_nobodys(site: Site) -> None:
    slow(site)
    live, controller = site.home.read_record().live, site.controller()
    with traffic(f"{site.url}/") as load:
        with asked(site, "deploy", "--json") as first:
            in_phase(site, Phase.BOOT)
            controller.signal(signal.SIGKILL)
            code, receipt, _ = ended(first)
        assert code == 1
        demand_good_error(receipt["error"])
        assert receipt["error"]["kind"] == "executor_died"
        assert receipt["previous"] == live
        until(site.at_rest, what="rest")
        assert site.home.read_record().live == live
        until(lambda: not processes_of(site.home, receipt["generation"]), what="the end of the candidate")
        make_app(site.folder, version="next")
        assert site.deploy("--wait")["previous"] == live
    demand_no_loss(load)


# Ctrl-C


def test_ctrl_c_before_the_commit_takes_the_deploy_back(site: Site) -> None:
    slow(site)
    before = site.home.read_record()
    with traffic(f"{site.url}/") as load, asked(site, "deploy", "--json") as asker:
        in_phase(site, Phase.BOOT)
        asker.send_signal(signal.SIGINT)
        code, receipt, err = ended(asker)
    demand_no_loss(load)
    assert code == 130
    assert receipt["exit_code"] == 130
    demand_good_error(receipt["error"])
    assert receipt["error"]["kind"] == "interrupted"
    assert "Ctrl-C again only stops following" in err
    assert site.home.read_record() == before
    assert site.at_rest()
    assert state_of(site, receipt) == "bad"
    until(lambda: not processes_of(site.home, receipt["generation"]), what="the end of the candidate")
    demand_shown(receipt["error"], site.segue("receipt", receipt["generation"]).err)


def test_a_second_ctrl_c_only_stops_following(site: Site) -> None:
    make_app(site.folder, version="hangs", check="hang")
    before = site.home.read_record()
    with asked(site, "deploy", "--json") as asker:
        in_phase(site, Phase.BOOT)
        asker.send_signal(signal.SIGINT)
        told(asker, "taking it back")
        asker.send_signal(signal.SIGINT)
        code, document, _ = ended(asker)
    assert code == 130
    assert document["error"]["kind"] in ("detached", "interrupted")
    until(site.at_rest, what="rest")
    assert site.home.read_record() == before


def test_ctrl_c_while_it_waits_for_its_turn_gives_the_turn_up(site: Site) -> None:
    endless(site)
    before = site.home.read_record()
    with asked(site, "deploy", "--json") as first:
        in_phase(site, Phase.IMPORT)
        with asked(site, "deploy", "--wait", "--json") as second:
            until(lambda: waits(second), what="the second in the queue")
            second.send_signal(signal.SIGINT)
            code, document, _ = ended(second)
        assert code == 130
        demand_good_error(document["error"])
        assert "nothing was touched" in document["error"]["message"]
        assert first.poll() is None
        first.send_signal(signal.SIGINT)
        assert ended(first)[0] == 130
    assert site.home.read_record() == before
    assert site.at_rest()


def test_ctrl_c_after_the_commit_only_stops_following(site: Site) -> None:
    make_app(site.folder, version="v2")
    with holding_a_request(site) as held, traffic(f"{site.url}/") as load:
        with asked(site, "deploy", "--json") as asker:
            told(asker, "commit")
            asker.send_signal(signal.SIGINT)
            code, document, err = ended(asker)
        assert site.home.read_record().phase is Phase.DRAIN
        assert code == 0
        assert document["ok"] is True
        assert document["error"] is None
        assert {step["name"] for step in document["steps"]} >= {"build", "switch", "commit"}
        assert "the drain goes on" in err
        assert held.finish() == b"10"
        until(site.at_rest, what="the end of the drain")
        assert site.home.read_record().live == document["generation"]
    demand_no_loss(load)
    assert site.segue("receipt", document["generation"], "--json").document["ok"]


def test_ctrl_c_after_the_end_changes_nothing(site: Site) -> None:
    """Whoever waits for the exit code has the deploy's, though its last words are still being read."""
    make_app(site.folder, version="v3")
    with full_pipe() as (reader, writer):
        with asked(site, "deploy", "--json", stdout=writer) as asker:
            os.close(writer)
            until(lambda: talks(asker), what="the keeper's answer")
            until(lambda: not talks(asker), what="the end of the conversation")
            asker.send_signal(signal.SIGINT)
            words = reader.read()
        assert asker.wait() == 0
    assert json.loads(words)["ok"] is True


@contextlib.contextmanager
def full_pipe() -> Iterator[tuple[BinaryIO, int]]:
    """A pipe that takes nothing more before something is read from it: its two ends."""
    end, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, FILLING):
            pass
    os.set_blocking(writer, True)
    with open(end, "rb") as reader:
        yield reader, writer


class Held:
    """A slow upload: the server has half of it."""

    def __init__(self, bind: str) -> None:
        self.connection = HTTPConnection(bind, timeout=60)
        self.connection.putrequest("POST", "/upload")
        self.connection.putheader("Content-Length", "10")
        self.connection.endheaders(b"12345")

    def finish(self) -> bytes:
        """Send the other half; the answer's body."""
        self.connection.send(b"67890")
        answer = self.connection.getresponse()
        assert answer.status == 200
        return answer.read()


@contextlib.contextmanager
def holding_a_request(site: Site) -> Iterator[Held]:
    """A request that the live generation holds until it is finished."""
    served = site.live().counts().started
    held = Held(site.bind)
    with contextlib.closing(held.connection):
        until(lambda: site.live().counts().started > served, what="the request in the app")
        yield held


# leaving


def test_a_keeper_that_leaves_begins_no_deploy(tmp_path: Path) -> None:
    """What it serves is answered to the end, and its exit code is 0."""
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    configure(folder, drain_timeout="60s", ready_timeout="120s")
    with serving(folder) as site:
        with holding_a_request(site) as held:
            site.process.send_signal(signal.SIGTERM)
            until(lambda: site.home.read_record().live is None, what="the keeper's farewell")
            error = demand_untouched(folder, 3, "deploy")
            assert error["kind"] == "leaving"
            assert f"pid {site.controller().pid} was told to stop" in error["evidence"]
            assert held.finish() == b"10"
        assert site.process.wait(20) == 0
    assert demand_untouched(folder, 3, "deploy")["kind"] == "no_keeper"
