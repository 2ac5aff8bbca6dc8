"""`segue probe` as people and scripts call it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support import servers
from tests.support.servers import server
from tests.support.site import Outcome, segue, until

QUICK = ("--duration", "400ms", "--rate", "50")
SHELL = ("sh", "-c")


def document(outcome: Outcome) -> dict[str, Any]:
    """The one JSON document of a probe; its counts add up."""
    found = outcome.document
    assert found["sent"] == found["ok"] + found["failed"] == found["ok"] + sum(found["failures"].values())
    return found


def start(*words: str) -> subprocess.Popen[str]:
    """Start `segue probe --json` and leave it running."""
    argv = (sys.executable, "-m", "segue", "probe", "--json", *words)
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome_of(process: subprocess.Popen[str]) -> Outcome:
    """How it ended."""
    out, err = process.communicate(timeout=30)
    return Outcome(process.returncode, out, err)


def test_none_failed(tmp_path: Path) -> None:
    with server(servers.released) as running:
        outcome = segue(tmp_path, "probe", running.url, *QUICK, "--json")
    found = document(outcome)
    assert outcome.code == 0
    assert (found["url"], found["rate"], found["sent"], found["failed"]) == (running.url, 50, 20, 0)
    assert found["failures"] == {}
    assert found["releases"] == {"r1": 20}
    assert found["generations"] == {"r1.2": 20}
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"] <= found["latency_ms"]["max"]
    assert found["longest_gap_ms"] > 0
    assert 0.4 <= found["duration_s"] < 2
    assert found["lag_ms"] >= 0
    assert found["spoilt"] is (found["lag_ms"] > 50)
    assert found["samples"] == []
    assert found["command"] is None


def test_some_failed(tmp_path: Path) -> None:
    with server(servers.fails) as running:
        outcome = segue(tmp_path, "probe", running.url, *QUICK, "--json")
    assert outcome.code == 1
    assert document(outcome)["failures"] == {"status_502": 20}
    assert document(outcome)["latency_ms"]["p50"] is None


def test_for_people(tmp_path: Path) -> None:
    with server(servers.released) as running:
        outcome = segue(tmp_path, "probe", running.url, *QUICK)
    assert outcome.out.splitlines()[0] == "0 of 20 requests failed"
    assert "r1 (20)" in outcome.out
    assert "\x1b" not in outcome.out + outcome.err


def test_failures_for_people(tmp_path: Path) -> None:
    with server(servers.short) as running:
        outcome = segue(tmp_path, "probe", running.url, *QUICK, "--", *SHELL, "exit 3")
    assert outcome.code == 1
    lines = outcome.out.splitlines()
    assert lines[0].endswith("requests failed")
    assert lines[1].split()[0:2] == ["failures", "truncated"]
    assert "status 3 after" in lines[-1]


def test_a_post_with_a_number_and_headers(tmp_path: Path) -> None:
    with server(servers.polite) as running:
        words = ("--data", '{"id": {n}}', "--header", "Content-Type: application/json")
        outcome = segue(tmp_path, "probe", running.url, *QUICK, *words)
        assert running.seen == {b'{"id": %d}' % number: 1 for number in range(20)}
    assert outcome.code == 0


def test_a_get_with_a_number_in_its_path(tmp_path: Path) -> None:
    with server(servers.polite) as running:
        assert segue(tmp_path, "probe", f"{running.url}/items/{{n}}?a=b", *QUICK).code == 0
        assert running.seen == {b"/items/%d?a=b" % number: 1 for number in range(20)}


def test_a_unix_socket_by_its_relative_path(tmp_path: Path) -> None:
    with server(servers.polite, path=tmp_path / "http.sock"):
        words = ("probe", "http://shop.example/", *QUICK, "--unix-socket", "http.sock", "--keep-alive", "1")
        assert segue(tmp_path, *words).code == 0


def test_a_certificate_is_verified_unless_told_otherwise(tmp_path: Path) -> None:
    certificate = servers.certificate(tmp_path)
    with server(servers.polite, context=servers.tls(certificate)) as running:
        words = ("probe", running.url, *QUICK, "--json")
        assert segue(tmp_path, *words, env={"SSL_CERT_FILE": str(certificate)}).code == 0
        assert document(segue(tmp_path, *words))["failures"] == {"tls": 20}
        assert segue(tmp_path, *words, "--insecure").code == 0


def test_a_command_is_run_amid_the_traffic(tmp_path: Path) -> None:
    with server(servers.polite) as running:
        script = "echo on stdout; echo on stderr >&2; exit 7"
        outcome = segue(tmp_path, "probe", running.url, "--json", *QUICK, "--", *SHELL, script)
    found = document(outcome)
    assert outcome.code == 0
    assert found["command"]["argv"] == [*SHELL, script]
    assert found["command"]["status"] == 7
    assert 0 < found["command"]["seconds"] < 2
    assert found["duration_s"] >= 3
    assert found["failed"] == 0
    assert {"on stdout", "on stderr"} <= set(outcome.err.splitlines())


def test_a_command_keeps_its_own_options(tmp_path: Path) -> None:
    with server(servers.polite) as running:
        words = ("--", *SHELL, 'echo "$@"', "name", "--json", "--rate", "--")
        outcome = segue(tmp_path, "probe", running.url, *QUICK, *words)
    assert "--json --rate --" in outcome.err
    assert "requests failed" in outcome.out


@pytest.mark.parametrize(
    "words",
    [
        ("http://127.0.0.1:9/", "--rate", "0"),
        ("http://127.0.0.1:9/", "--rate", "6000"),
        ("http://127.0.0.1:9/", "--duration", "10"),
        ("http://127.0.0.1:9/", "--duration", "0s"),
        ("http://127.0.0.1:9/", "--timeout", "soon"),
        ("http://127.0.0.1:9/", "--keep-alive", "2"),
        ("http://127.0.0.1:9/", "--header", "no colon"),
        ("http://127.0.0.1:9/", "--header", "Connection: close"),
        ("http://127.0.0.1:9/", "--method", "GET", "--data", "x"),
        ("http://127.0.0.1:9/", "--unix-socket", "a" * 200),
        ("ftp://127.0.0.1/",),
        ("127.0.0.1:8000",),
        ("http://",),
    ],
)
def test_wrong_words(tmp_path: Path, words: tuple[str, ...]) -> None:
    outcome = segue(tmp_path, "probe", "--json", *words)
    assert outcome.code == 2
    assert outcome.document["ok"] is False
    assert outcome.document["error"]["message"].endswith(".")
    assert outcome.err.startswith(f"error: {outcome.document['error']['message']}\n")


def test_a_command_that_is_not_there_is_refused_before_any_traffic(tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("not executable")
    with server(servers.polite) as running:
        for program in ("no-such-program-anywhere", str(plain)):
            outcome = segue(tmp_path, "probe", running.url, *QUICK, "--", program)
            assert outcome.code == 2
            assert "hint:" in outcome.err
        assert running.connections == 0


def test_a_command_that_is_no_program_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("no first line")
    script.chmod(0o755)
    with server(servers.polite) as running:
        outcome = segue(tmp_path, "probe", running.url, *QUICK, "--", str(script))
    assert outcome.code == 2
    assert "can't be executed" in outcome.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_its_report(number: signal.Signals) -> None:
    with server(servers.polite) as running:
        process = start(running.url, "--duration", "1h")
        until(lambda: running.seen.total() > 3)
        process.send_signal(number)
        outcome = outcome_of(process)
    assert outcome.code == 0
    assert document(outcome)["sent"] > 3


def test_a_signal_awaits_what_is_in_flight() -> None:
    with server(servers.silent) as running:
        process = start(running.url, "--duration", "1h", "--timeout", "1s")
        until(lambda: running.seen.total() > 0)
        process.send_signal(signal.SIGINT)
        outcome = outcome_of(process)
    assert outcome.code == 1
    assert document(outcome)["failures"].keys() == {"timeout"}


def test_a_second_signal_ends_it_and_a_stubborn_command_at_once(tmp_path: Path) -> None:
    pid, told = tmp_path / "pid", tmp_path / "told"
    script = (
        f"trap 'touch {told}' TERM; echo $$ > {pid}.new; mv {pid}.new {pid}; while :; do sleep 0.05; done"
    )
    with server(servers.polite) as running:
        process = start(running.url, "--", *SHELL, script)
        until(pid.exists)
        process.send_signal(signal.SIGINT)
        until(told.exists)
        process.send_signal(signal.SIGINT)
        outcome = outcome_of(process)
    assert outcome.code == 130
    assert json.loads(outcome.out)["error"]["kind"] == "interrupted"
    assert not Path("/proc", pid.read_text().strip()).exists()


def test_a_signal_ends_the_command_too(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with server(servers.polite) as running:
        process = start(running.url, "--", *SHELL, f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 600")
        until(pid.exists)
        process.send_signal(signal.SIGINT)
        outcome = outcome_of(process)
    assert outcome.code == 0
    assert document(outcome)["command"]["status"] == -signal.SIGTERM
    assert not Path("/proc", pid.read_text().strip()).exists()


def test_a_signal_before_the_command_has_begun() -> None:
    with server(servers.polite) as running:
        process = start(running.url, "--", "true")
        until(lambda: running.seen.total() > 0)
        process.send_signal(signal.SIGINT)
        outcome = outcome_of(process)
    assert outcome.code == 0
    assert document(outcome)["command"]["status"] is None
