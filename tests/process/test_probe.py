"""The probe against real servers, good and bad: it must see every loss, and lose nothing itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from tests.support import servers
from tests.support.apps import make_app
from tests.support.race import unspoilt
from tests.support.servers import Behaviour, Server, server
from tests.support.site import until

from segue.proof.probe import Probe
from segue.proof.report import Report
from segue.proof.schedule import plan_requests
from segue.proof.spec import ProbeSpec, Shot

# a server that closes after its answer has done so by the next request
SELDOM: dict[str, Any] = {"rate": 10, "seconds": 2}
POST = Shot("POST", "/orders", body=(b'{"id": "{n}"}',))


def probe(url: str, *, seconds: float = 0.4, rate: float = 50, **options: Any) -> Report:
    """What a probe of `url` sees; its counts add up, whatever that is."""
    report = asyncio.run(Probe(ProbeSpec(url, rate=rate, **options)).run(seconds))
    assert report.sent == report.ok + report.failed
    assert report.sent == pytest.approx(seconds * rate)
    assert report.in_flight == 0
    return report


def probed_in_time(behave: Behaviour, **options: Any) -> tuple[Report, Server]:
    """A probe of a server of its own that was not late: one that catches up finds no connection free."""

    def run() -> tuple[Report, Server]:
        with server(behave) as running:
            return probe(running.url, **options), running

    return unspoilt(run, lambda done: done[0].lag_ms / 1000)


@contextlib.contextmanager
def gunicorn(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Gunicorn with threads, serving the app in `folder`."""
    argv = (sys.executable, "-m", "gunicorn", "--no-control-socket", "--threads", "8", *options, "wsgi:app")
    with subprocess.Popen(argv, cwd=folder, stderr=subprocess.DEVNULL, close_fds=False) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The URL of a Gunicorn for the app in `folder`; the listener is ours, so its port is too."""
    make_app(folder, version="v1")
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.set_inheritable(True)
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        with gunicorn(folder, "--bind", f"fd://{listener.fileno()}"):
            urllib.request.urlopen(f"{url}/healthz", timeout=60).close()  # it is up; the queue waited for it
            yield url


@contextlib.contextmanager
def probe_process(spec: ProbeSpec) -> Iterator[subprocess.Popen[bytes]]:
    """The probe that a deploy starts."""
    argv = (sys.executable, "-m", "segue.proof.probe_process")
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(spec.to_json().encode() + b"\n")
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def read(file: Path) -> dict[str, Any]:
    """What is in the report file; nothing where there is none yet."""
    document: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return document


def end(process: subprocess.Popen[bytes]) -> None:
    """End the probe as a deploy does."""
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 0


def test_a_good_server_loses_nothing_and_every_order_arrives_once(tmp_path: Path) -> None:
    kinds = (Shot(path="/"), POST, Shot("POST", "/upload", body=(b"a" * 1000,) * 3, pause=0.02))
    with serving(tmp_path) as url:
        report = probe(url, seconds=1.5, rate=60, shots=kinds)
    assert report.failures == {}
    assert report.reused > 10
    assert report.statuses == {"200": 60, "201": 30}
    plan = islice(plan_requests(ProbeSpec(url, shots=kinds)), report.sent)
    orders = Counter((tmp_path / "instance" / "orders.log").read_text().split())
    assert orders == Counter(str(request.number) for request in plan if request.shot is POST)


def test_a_naive_restart_turns_it_red(tmp_path: Path) -> None:
    make_app(tmp_path, version="v1", import_seconds=0.3)
    path, file = tmp_path / "http.sock", tmp_path / "probe.json"
    spec = ProbeSpec("http://localhost/", connect=f"unix:{path}", rate=100, report=str(file))
    with gunicorn(tmp_path, "--bind", f"unix:{path}") as old:
        until(path.exists)
        with probe_process(spec) as process:
            until(lambda: read(file).get("ok", 0) > 30)
            before = read(file)
            assert before["failures"] == {}
            old.terminate()
            old.wait(10)
            with gunicorn(tmp_path, "--bind", f"unix:{path}"):
                until(lambda: read(file)["ok"] > before["ok"] + 50)
                end(process)
    report = read(file)
    assert report["failed"] > 10
    assert report["sent"] == report["ok"] + report["failed"]
    assert report["failures"].keys() & {"refused", "missing"}
    assert report["longest_gap_ms"] > 200


@pytest.mark.parametrize(
    "behave",
    [
        servers.polite,
        servers.until_closed,
        servers.interim,
        servers.leaves_idle,
        servers.talks_idle,
        servers.answers_early,
    ],
)
def test_what_is_legal_http_is_no_failure(behave: Behaviour) -> None:
    with server(behave) as running:
        report = probe(running.url, **SELDOM, shots=(Shot(), POST))
    assert report.failures == {}


def test_half_of_the_requests_go_over_connections_kept_alive() -> None:
    report, running = probed_in_time(servers.polite, seconds=1)
    assert report.reused + running.connections == report.sent
    assert 15 < report.reused < 25


@pytest.mark.parametrize(("share", "reused"), [(0, range(1)), (1, range(10, 20))])
def test_the_share_of_connections_kept_alive_can_be_chosen(share: float, reused: range) -> None:
    report, _ = probed_in_time(servers.polite, keep_alive=share)
    assert report.reused in reused


def test_a_connection_that_the_server_closed_while_idle_is_not_used_again() -> None:
    with server(servers.leaves_idle) as running:
        report = probe(running.url, **SELDOM, keep_alive=1)
        assert (report.reused, running.connections) == (0, 20)


def test_a_lost_request_is_never_sent_again() -> None:
    report, running = probed_in_time(servers.leaves_second, keep_alive=1, shots=(POST,))
    assert report.failures == {"eof": report.reused}
    assert report.reused > 5
    assert all(sample.idle_s is not None for sample in report.samples), "each was sent on one that had idled"
    assert running.seen == {b'{"id": "%d"}' % number: 1 for number in range(report.sent)}


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        (servers.resets, "reset"),
        (servers.closes, "eof"),
        (servers.short, "truncated"),
        (servers.short_chunk, "truncated"),
        (servers.no_last_chunk, "truncated"),
        (servers.short_head, "truncated"),
        (servers.silent, "timeout"),
        (servers.endless_body, "timeout"),
        (servers.endless_chunks, "timeout"),
        (servers.endless_interim, "timeout"),
        (servers.endless_head, "protocol"),
        (servers.babbles, "protocol"),
        (servers.fails, "status_502"),
    ],
)
def test_each_way_to_fail_is_told_apart(behave: Behaviour, kind: str) -> None:
    with server(behave) as running:
        timeout = 0.3 if kind == "timeout" else 20
        report = probe(running.url, rate=10, timeout=timeout, shots=(POST,))
        assert max(running.seen.values(), default=1) == 1
    assert report.failures == {kind: report.sent}
    assert {sample.kind for sample in report.samples} == {kind}
    assert all(sample.detail for sample in report.samples)
    assert {sample.idle_s for sample in report.samples} == {None}


def test_answers_are_counted_by_release_and_generation() -> None:
    with server(servers.released) as running:
        report = probe(running.url)
    assert (report.releases, report.generations, report.errors) == ({"r1": 20}, {"r1.2": 20}, {})
    with server(servers.fails) as running:
        report = probe(running.url)
    assert (report.releases, report.generations, report.errors) == ({}, {"r1.2": 20}, {"r1.2": 20})


def test_requests_leave_on_schedule_while_nobody_answers() -> None:
    report, running = probed_in_time(servers.silent, timeout=1.0)
    assert running.connections == report.sent == 20
    assert report.failures == {"timeout": 20}
    assert report.duration_s < 1.0
    assert report.latency_ms.max is None


def test_a_held_up_probe_says_so() -> None:
    async def hold_up(url: str) -> Report:
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, time.sleep, 0.15)  # stops this very loop: that is the point
        return await Probe(ProbeSpec(url, rate=50)).run(0.4)

    with server(servers.polite) as running:
        report = asyncio.run(hold_up(running.url))
    assert report.is_spoilt
    assert report.lag_ms > 100
    assert report.latency_ms.max is not None
    assert report.latency_ms.max > 100


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    report = probe(f"http://127.0.0.1:{port}/")
    assert report.failures == {"refused": 20}
    assert report.duration_s >= 0.38
    assert report.longest_gap_ms == pytest.approx(report.duration_s * 1000, abs=1)


def test_a_name_that_nobody_knows() -> None:
    too_long = ".".join(["a" * 60] * 5)  # no resolver sends it anywhere
    assert probe(f"http://{too_long}/", rate=5).failures == {"resolve": 2}


def test_a_name_and_ipv6() -> None:
    with server(servers.polite) as running:
        assert probe(running.url.replace("127.0.0.1", "localhost")).failures == {}
    with server(servers.polite, host="::1") as running:
        assert probe(running.url).failures == {}


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    options: dict[str, Any] = {"url": "http://shop.example/", "connect": f"unix:{path}"}
    assert probe(**options).failures == {"missing": 20}
    with server(servers.polite, path=path):
        assert probe(**options).failures == {}
    assert probe(**options).failures == {"refused": 20}
    assert probe("http://a/", connect=f"unix:{path}/below").failures == {"unreachable": 20}


def test_a_full_queue_is_busy(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        report = probe("http://a/", connect=f"unix:{path}", rate=20, timeout=0.3)
    assert report.failures["busy"] >= report.sent - 2


def test_tls(tmp_path: Path) -> None:
    with server(servers.polite, context=servers.tls(servers.certificate(tmp_path))) as running:
        report = probe(running.url, insecure=True, shots=(Shot(), POST))
        assert report.failures == {}
        assert report.reused > 0
        assert probe(running.url).failures == {"tls": 20}


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        (servers.short, "truncated"),
        (servers.closes, "eof"),
        (servers.silent, "timeout"),
        (servers.endless_body, "timeout"),
    ],
)
def test_each_way_to_fail_is_told_apart_in_tls(tmp_path: Path, behave: Behaviour, kind: str) -> None:
    with server(behave, context=servers.tls(servers.certificate(tmp_path))) as running:
        timeout = 0.5 if kind == "timeout" else 20
        report = probe(running.url, rate=10, timeout=timeout, insecure=True, shots=(Shot(), POST))
    assert report.failures == {kind: report.sent}


def test_tls_with_a_server_that_speaks_none() -> None:
    with server(servers.babbles) as running:
        report = probe(running.url.replace("http:", "https:"))
    assert report.failures == {"tls": 20}


@pytest.mark.parametrize("ending", ["eof", "SIGTERM"])
def test_a_probe_process_reports_until_it_is_told_to_end(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "probe.json"
    with (
        server(servers.released) as running,
        probe_process(ProbeSpec(running.url, rate=50, report=str(file))) as process,
    ):
        sent = until(lambda: read(file).get("sent"))
        until(lambda: read(file)["sent"] > sent)
        assert read(file)["final"] is False
        if ending == "SIGTERM":
            process.terminate()
            process.wait(10)
        end(process)
        report = read(file)
        assert report["final"] is True
        assert report["sent"] == report["ok"] == sum(running.seen.values())
    assert [path.name for path in tmp_path.iterdir()] == ["probe.json"]


def test_a_probe_process_ends_with_its_parent(tmp_path: Path) -> None:
    file = tmp_path / "probe.json"
    parent = (
        "import subprocess, sys\n"
        "argv = [sys.executable, '-m', 'segue.proof.probe_process']\n"
        "process = subprocess.Popen(argv, stdin=subprocess.PIPE, text=True)\n"
        "process.stdin.write(sys.argv[1] + chr(10))\n"
        "process.stdin.flush()\n"
        "process.wait()\n"
    )
    with server(servers.polite) as running:
        spec = ProbeSpec(running.url, rate=50, report=str(file))
        with subprocess.Popen((sys.executable, "-c", parent, spec.to_json())) as process:
            until(lambda: read(file).get("sent"))
            process.kill()
        until(lambda: read(file)["final"], what="a last report")


def test_a_probe_process_imports_nothing_heavy() -> None:
    code = "import sys, segue.proof.probe_process as _; print(*sys.modules)"
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert not {"pydantic", "click", "rich"} & set(done.stdout.split())
