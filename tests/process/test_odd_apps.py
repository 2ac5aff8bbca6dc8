"""Apps that do more than answer, and hooks that fail: deploys go through all the same, and nobody notices."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.support.apps import make_app
from tests.support.bad import append, deploy_refused
from tests.support.deaths import demand_nothing_left, demand_rest
from tests.support.leaving import PATIENT
from tests.support.site import Site, configure, demand_no_loss, serving, traffic, until
from tests.support.table import SERVERS, often
from tests.support.takeover import kill_keeper

from segue.disk.processes import marked
from segue.run.generation import MARK

TAIL = 64 * 1024

THREAD = """
import threading
threading.Thread(target=time.sleep, args=(FOREVER,)).start()
"""
# each holds whatever the process that forked it had open, and two go where no session reaches them;
# they outlive every test, but not by much
FORKS = """
import signal
import subprocess
import sys

def fork(leave):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        leave()
        time.sleep(120)
    return child

fork(os.getpid)
fork(os.setsid)
fork(os.setpgrp)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True, cwd="/")
"""
PRINTS = """
import sys
sys.stderr.buffer.write(bytes(range(256)) * 4096)
sys.stdout.write("a line without an end" * 50_000)
sys.stdout.flush()
"""
HOOKS = """
def raises(*_):
    raise LookupError("theirs")

def post_request(worker, req, environ, resp): raises()
def worker_exit(server, worker): raises()
def child_exit(server, worker): raises()
def on_exit(server): raises()
"""


def made(folder: Path, server: str = "gthread", code: str = "", **settings: Any) -> Path:
    """A project of that server's, with `code` at its end."""
    make_app(folder, version="v1", interface=SERVERS[server].interface)
    append(folder, code)
    (folder / "gunicorn.conf.py").write_text(PATIENT)
    configure(folder, **{**SERVERS[server].job, "linger": "1s", **settings})
    return folder


def deployed_under_traffic(site: Site, rate: float = 100) -> dict[str, Any]:
    """The receipt of a deploy that lost and cut nothing, and left nobody."""
    with traffic(f"{site.url}/", rate=rate) as load:
        receipt = site.deploy()
    demand_no_loss(load)
    assert receipt["cut"] == 0
    until(site.at_rest, what="rest")
    return receipt


def seconds_of(receipt: dict[str, Any], name: str) -> float:
    """How long that step took."""
    return next(float(step["seconds"]) for step in receipt["steps"] if step["name"] == name)


# apps


@pytest.mark.parametrize(
    ("server", "settings"),
    [
        ("gthread", {}),
        ("uvicorn", {}),
        pytest.param("sync", {"preload": True}, marks=pytest.mark.soak),
        pytest.param("asgi", {}, marks=pytest.mark.soak),
        pytest.param("gevent", {}, marks=pytest.mark.soak),
    ],
)
def test_threads_that_never_end_cost_the_drain_its_time_and_nothing_else(
    tmp_path: Path, server: str, settings: dict[str, Any]
) -> None:
    folder = made(tmp_path / "project", server, THREAD, drain_timeout="5s", **settings)
    with serving(folder) as site:
        old = site.live()
        receipt = deployed_under_traffic(site)
        assert seconds_of(receipt, "drain") < 15
        assert old.crashes() == []


@pytest.mark.parametrize(
    ("server", "settings"),
    [
        ("gthread", {}),
        ("uvicorn", {}),
        pytest.param("sync", {"preload": True}, marks=pytest.mark.soak),
        pytest.param("asgi", {}, marks=pytest.mark.soak),
        pytest.param("gevent", {}, marks=pytest.mark.soak),
    ],
)
def test_what_a_generation_forked_leaves_with_it(
    tmp_path: Path, server: str, settings: dict[str, Any]
) -> None:
    """Not even a daemon that ignores TERM is left after a deploy, and after a stop nobody listens."""
    folder = made(tmp_path / "project", server, FORKS, drain_timeout="5s", **settings)
    with serving(folder) as site:
        old, bind = site.live(), site.bind
        assert len(started_by(old.folder)) > 4
        receipt = deployed_under_traffic(site)
        assert started_by(old.folder) == []
        assert seconds_of(receipt, "drain") < 15
        live = site.live()
        os.kill(site.process.pid, signal.SIGTERM)
        assert site.process.wait(30) == 0
        assert started_by(live.folder) == []
    demand_nothing_left(site)
    with socket.socket() as client:
        assert client.connect_ex((bind.split(":")[0], int(bind.split(":")[1]))) != 0


def started_by(folder: Path) -> list[int]:
    """Every process that the generation in `folder` started, wherever it went since."""
    return [process.pid for process in marked(MARK, str(folder))]


def test_a_second_stop_ends_what_was_forked_as_well(tmp_path: Path) -> None:
    with serving(made(tmp_path / "project", code=FORKS)) as site:
        live = site.live()
        for _ in range(2):
            os.kill(site.process.pid, signal.SIGTERM)
            until(lambda: "draining" in site.keeper_log(), what="the drain")
        assert site.process.wait(10) == 0
        until(lambda: not started_by(live.folder), what="the end of all")


def test_an_import_that_fails_leaves_no_daemon(tmp_path: Path) -> None:
    with serving(made(tmp_path / "project")) as site:
        append(site.folder, FORKS + "raise LookupError('after the forks')")
        refused = deploy_refused(site)
        folder = site.home.generation(refused.receipt["generation"])
        until(lambda: not started_by(folder), what="the end of all")


def test_an_app_that_prints_a_lot_never_waits_for_anybody(tmp_path: Path) -> None:
    """Through a deploy, and with nobody of segue's alive."""
    folder = made(tmp_path / "project", probe_rate=5)
    make_app(folder, version="v1", stdout_noise=1_000_000)
    append(folder, PRINTS)
    with serving(folder) as site, ExitStack() as stack:
        deployed_under_traffic(site, rate=10)
        began = time.monotonic()
        assert site.segue("status", "--json").code == 0
        assert time.monotonic() - began < 10
        bind = site.bind
        with traffic(f"{site.url}/", rate=10) as load:
            kill_keeper(site)
            size = site.live().log.stat().st_size
            until(lambda: site.live().log.stat().st_size > size + 5_000_000, what="five more requests")
            successor = stack.enter_context(serving(site.folder, bind=bind))
        demand_no_loss(load)
        append(folder, "raise LookupError('loud')")
        refused = deploy_refused(successor, rate=5)
        assert len(refused.error["evidence"]) <= TAIL


# servers


@pytest.mark.parametrize(
    "server",
    often(SERVERS, "gthread"),
)
def test_workers_that_are_recycled_through_deploys_lose_nothing_and_count_each_request_once(
    tmp_path: Path, server: str
) -> None:
    """`max_requests`, and Uvicorn's `--limit-max-requests`: worker after worker leaves by itself."""
    words: dict[str, Any] = {}
    if SERVERS[server].job.get("server") == "uvicorn":
        limits = ("--limit-max-requests", "60", "--limit-max-requests-jitter", "90")
        words = {"server_args": [*SERVERS[server].job["server_args"], *limits]}
    folder = made(tmp_path / "project", server, probe_rate=10, **words)
    limit = 120 // SERVERS[server].job["workers"]
    settings = f"max_requests = {limit}\nmax_requests_jitter = {limit}\n"
    (folder / "gunicorn.conf.py").write_text(PATIENT + settings)
    with serving(folder) as site:
        generations, probed = [site.live()], 0
        with traffic(f"{site.url}/", rate=20) as load:
            # the counters of workers that left are kept in one file
            until((generations[0].folder / "counters.ended").exists, what="a recycled worker")
            for _ in range(2):
                receipt = site.deploy()
                generations.append(site.live())
                probed += receipt["traffic"]["sent"]
                assert receipt["lost"] == {"by_probe": 0, "held_by_crashed": 0}, receipt["traffic"]
        demand_no_loss(load)
        served = load.report["sent"] + probed
        until(lambda: sum(one.counts().finished for one in generations) == served, what=f"{served} counted")
        assert [one.crashes() for one in generations] == [[], [], []]


@pytest.mark.soak
def test_idle_connections_keep_no_gevent_worker_from_leaving(tmp_path: Path) -> None:
    folder = made(tmp_path / "project", "gevent")
    with serving(folder) as site, ExitStack() as stack:
        host, _, port = site.bind.partition(":")
        idle = [stack.enter_context(socket.create_connection((host, int(port)), 20)) for _ in range(4)]
        idle[0].sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        with idle[0].makefile("rb") as answer:
            assert b"200 OK" in b"".join(iter(answer.readline, b"\r\n"))
            assert answer.read(2) == b"v1"
        receipt = deployed_under_traffic(site)
        assert [one.recv(1) for one in idle] == [b""] * 4
        assert seconds_of(receipt, "drain") < 8


@pytest.mark.parametrize("hang", often(["time.sleep(FOREVER)", "while True: pass"], "while True: pass"))
def test_a_check_that_hangs_under_gevent_is_told_with_its_place(tmp_path: Path, hang: str) -> None:
    with serving(made(tmp_path / "project", "gevent")) as site:
        configure(site.folder, **{**SERVERS["gevent"].job, "check_timeout": "500ms"})
        append(site.folder, f"def hangs(_environ):\n    {hang}\n\nROUTES['/healthz'] = hangs")
        error = deploy_refused(site).error
        assert error["message"] == "The check /healthz gave no answer in 0.5 s."
        assert "in hangs" in error["evidence"]


# hooks


@pytest.mark.parametrize("server", often(["gthread", "gevent"], "gthread"))
def test_hooks_that_fail_at_the_end_cost_nothing(tmp_path: Path, server: str) -> None:
    """Not even the one that ends first ends the master, and with it what the others hold."""
    folder = made(tmp_path / "project", server)
    (folder / "gunicorn.conf.py").write_text(PATIENT + HOOKS)
    with serving(folder) as site:
        old = site.live()
        with traffic(f"{site.url}/slow?seconds=2", rate=4) as slow:
            receipt = deployed_under_traffic(site, rate=20)
        demand_no_loss(slow)
        assert receipt["lost"] == {"by_probe": 0, "held_by_crashed": 0}
        assert old.crashes() == []
        log = old.log.read_text()
    assert "Unhandled exception" not in log
    for name in ("post_request", "worker_exit", "child_exit", "on_exit"):
        assert f"in {name}" in log


def test_a_release_whose_pre_request_hook_fails_is_taken_back(tmp_path: Path) -> None:
    """Gunicorn answers 500 where the app was never asked: it counts all the same."""
    with serving(made(tmp_path / "project")) as site:
        (site.folder / "gunicorn.conf.py").write_text(
            "def pre_request(worker, req):\n    raise LookupError('theirs')\n"
        )
        with traffic(f"{site.url}/") as load:
            outcome = site.segue("deploy", "--json")
        assert outcome.code == 1, outcome
        assert "in pre_request" in outcome.document["error"]["evidence"]
        assert set(load.report["failures"]) == {"status_500"}
        demand_rest(site)


@pytest.mark.parametrize("hook", ["on_starting(server)", "when_ready(server)", "post_worker_init(worker)"])
def test_a_release_whose_hook_fails_at_its_start_is_refused_with_what_it_raised(
    hooked: Site, hook: str
) -> None:
    (hooked.folder / "gunicorn.conf.py").write_text(f"def {hook}:\n    raise LookupError('theirs')\n")
    error = deploy_refused(hooked).error
    assert "LookupError: theirs" in error["evidence"]
    assert "gunicorn.conf.py" in error["evidence"]


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One site for all hooks that fail at the start of a release: each leaves it as it was."""
    with serving(made(tmp_path_factory.mktemp("hooks") / "project")) as site:
        yield site
