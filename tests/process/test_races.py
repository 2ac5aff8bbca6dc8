"""P1 in slow motion: every connection that a deploy catches in the middle gets its full answer."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.leaving import (
    PLAIN,
    demand_a_hup_waits,
    demand_a_restart_loses,
    made,
    race_both_ways,
    through,
)
from tests.support.plain import plain_gunicorn
from tests.support.race import demand_every_answer, race, wait_limit
from tests.support.site import Site, configure, serving, until
from tests.support.table import SERVERS, often

from segue.disk.processes import ProcessId

servers = pytest.mark.parametrize("server", SERVERS)
plain_servers = pytest.mark.parametrize("server", PLAIN)


@servers
def test_old_workers_answer_whatever_they_hold(tmp_path: Path, server: str) -> None:
    """Idle, half sent, kept alive or new, 10 to 300 ms after the word to leave; careless clients, too."""
    race_both_ways(tmp_path / "project", server)


@pytest.mark.parametrize("server", often(PLAIN, "gthread"))
def test_old_workers_that_were_preloaded_do_as_well(tmp_path: Path, server: str) -> None:
    """The same, where the master imported the app and its workers forked."""
    race_both_ways(tmp_path / "project", server, preload=True)


def test_new_workers_answer_what_the_old_ones_left_in_the_queue(tmp_path: Path) -> None:
    """More idle connections than sync workers: most of them were never accepted when the old workers left."""
    folder = made(tmp_path / "project")
    # with every worker held by a client that sends nothing, nobody can answer the watch
    configure(folder, workers=2, threads=1, watch="0s", watch_requests=0, probe_rate=1)
    with serving(folder) as site:
        old = site.live().name
        results = through(site, "deploy", ("idle", "idle", "half"))
        by_old = [result for result in results if result.generation == old]
        assert len(by_old) < len(results)


# Uvicorn's don't look for their master: they serve on until somebody tells them
@pytest.mark.parametrize("server", ["gthread", "gevent", "asgi"])
def test_workers_whose_master_was_killed_leave_gently(tmp_path: Path, server: str) -> None:
    """Whoever uses one connection all the time is told to open another: else it would be cut at the end."""
    folder = made(tmp_path / "project", server)
    configure(folder, linger="5s", **SERVERS[server].race)
    with serving(folder) as site:
        master = site.live().master()
        assert master is not None
        with contextlib.closing(http.client.HTTPConnection(site.url.removeprefix("http://"))) as connection:

            def told_to_leave() -> bool:
                connection.request("GET", "/")
                answer = connection.getresponse()
                assert (answer.status, answer.read()) == (200, b"v1")
                return answer.headers["Connection"] == "close"

            assert not told_to_leave()
            sock = connection.sock
            with asleep(site):
                master.signal(signal.SIGKILL)
                until(told_to_leave, 60, "the word to leave")
            assert connection.sock in (None, sock), "the connection was cut, and another one opened"


@pytest.mark.parametrize("server", ["gthread", "gevent", "asgi"])
def test_who_connects_while_workers_whose_master_was_killed_leave_is_answered(
    tmp_path: Path, server: str
) -> None:
    """Each sends its request well within the linger of a worker that has accepted it."""
    folder = made(tmp_path / "project", server)
    configure(folder, linger="1s", **SERVERS[server].race)
    with serving(folder) as site, ThreadPoolExecutor(60) as pool:
        master = site.live().master()
        assert master is not None
        host, _, port = site.bind.rpartition(":")
        with asleep(site):
            master.signal(signal.SIGKILL)
            answers = [
                pool.submit(ask_late, (host, int(port)), number * 0.05, after=0.3) for number in range(60)
            ]
            # what comes when all have left waits for the next master, which nobody starts in here
            until(lambda: all(answer.running() or answer.done() for answer in answers), what="their start")
            wait(answers, timeout=4)
        assert [answer.result() for answer in answers] == [b"HTTP/1.1 200"] * len(answers)


def test_who_has_sent_nothing_yet_has_the_linger_too(tmp_path: Path) -> None:
    """A gthread worker gives a new connection a thread for 5 s: here those end while it leaves."""
    folder = made(tmp_path / "project", "gthread")
    configure(folder, linger="15s", drain_timeout="40s", **SERVERS["gthread"].race)
    with serving(folder) as site, ThreadPoolExecutor(1) as pool:
        master = site.live().master()
        assert master is not None
        host, _, port = site.bind.rpartition(":")
        with asleep(site):
            answer = pool.submit(ask_late, (host, int(port)), 0.0, after=7.0)
            assert not wait([answer], timeout=1.0).done
            master.signal(signal.SIGKILL)
            assert wait([answer], timeout=60).done
    assert answer.result() == b"HTTP/1.1 200"


def ask_late(address: tuple[str, int], at: float, after: float) -> bytes:
    """How the answer begins that one gets who connects in `at` seconds, and asks `after` so many more."""
    never = threading.Event()
    never.wait(at)
    with socket.create_connection(address) as client:
        client.settimeout(60)
        never.wait(after)
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return client.recv(12, socket.MSG_WAITALL)


# the worker's one loop sleeps, as on a machine that has no time for it
ASLEEP = """
import pathlib
import time

{sleep}

def nap(last=True):
    if last:
        pathlib.Path({file!r}).touch()
    sleep(3)

def post_worker_init(worker):
    app = worker.wsgi

    def answer(environ, start_response):
        if environ["PATH_INFO"] == "/block":
            {soon}
        return app(environ, start_response)

    worker.wsgi = answer
"""


# how each server's loop is had to sleep
NAPS = {
    "gthread": ("from time import sleep", "worker.method_queue.defer(nap)"),
    # due in one turn of the loop, both, and in that turn the connections are closed that idled too long
    "gevent": (
        "from gevent import get_hub, monkey\nsleep, timers = monkey.get_original('time', 'sleep'), []",
        "timers[:] = map(get_hub().loop.timer, (0.1, 0.5)); timers[0].start(nap, 0); timers[1].start(nap)",
    ),
}


@pytest.mark.parametrize("server", NAPS)
def test_a_request_that_came_while_the_loop_slept_is_answered_though_its_connection_idled_too_long(
    tmp_path: Path, server: str
) -> None:
    """Gunicorn's own closes what idled for 2 s without another look, and that resets who has just asked."""
    folder = made(tmp_path / "project", server)
    begun = tmp_path / "asleep"
    sleep, soon = NAPS[server]
    (folder / "gunicorn.conf.py").write_text(ASLEEP.format(file=str(begun), sleep=sleep, soon=soon))
    configure(folder, **{**SERVERS[server].race, "workers": 1})
    with serving(folder) as site, contextlib.ExitStack() as stack:
        idle, blocking = (
            stack.enter_context(contextlib.closing(http.client.HTTPConnection(site.bind))) for _ in range(2)
        )
        for path in ("/", "/block"):
            connection = blocking if path == "/block" else idle
            connection.request("GET", path)
            connection.getresponse().read()
        until(begun.exists, what="the loop asleep")
        sock = idle.sock
        idle.request("GET", "/")
        assert idle.getresponse().read() == b"v1"
        assert idle.sock is sock is not None


@contextlib.contextmanager
def asleep(site: Site) -> Iterator[None]:
    """The keeper, which would tell orphans to leave, hears of nothing within the block."""
    keeper = site.home.read_keeper()
    assert keeper is not None
    controller = ProcessId(keeper["pid"], keeper["started"])
    controller.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        controller.signal(signal.SIGCONT)


@plain_servers
def test_a_naive_restart_loses_this_race(tmp_path: Path, server: str) -> None:
    """The same assertion, against stopping Gunicorn and starting it again."""
    demand_a_restart_loses(tmp_path / "project", server)


@plain_servers
def test_a_plain_hup_loses_this_race_by_waiting_for_the_import(tmp_path: Path, server: str) -> None:
    """The same assertion, against HUP."""
    demand_a_hup_waits(tmp_path / "project", server)


@pytest.mark.parametrize("server", often(PLAIN, "sync"))
def test_a_plain_hup_to_a_broken_release_loses_this_race(tmp_path: Path, server: str) -> None:
    """The same assertion, against HUP on code that can't be imported: the master ends, and the site too."""
    folder = made(tmp_path / "project")
    with plain_gunicorn(folder, **PLAIN[server]) as plain:
        make_app(folder, version="v2", import_error="ImportError")
        results = race(plain.url, plain.hup, plain.is_replacing, SERVERS[server].kinds)
        assert plain.process.poll() is not None, "the master lives"
    with pytest.raises(AssertionError, match=r"^lost \d+ of"):
        demand_every_answer(results, wait_limit(0))
