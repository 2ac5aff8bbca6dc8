"""What the README says of other ways to deploy Gunicorn, seen on Gunicorn alone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.leaving import ANY, made
from tests.support.plain import Plain, plain_gunicorn
from tests.support.race import demand_every_answer, race, wait_limit
from tests.support.site import demand_no_loss, traffic, until
from tests.support.table import SERVERS

# one worker: its first answer says that none imports any more, which a broken release would meet
WORKERS, THREADS, MANY = 1, 4, 64
SLOW = 3.0


@contextmanager
def plain(folder: Path) -> Iterator[Plain]:
    with plain_gunicorn(folder, workers=WORKERS, threads=THREADS) as server:
        yield server


def behind_a_link(folder: Path) -> Path:
    """A project whose `current` leads to release v1."""
    make_app(folder / "v1", version="v1")
    make_app(folder / "v2", version="v2")
    link = folder / "current"
    link.symlink_to("v1")
    return link


def lead(link: Path, release: str) -> None:
    """As `ln -sfn` does it."""
    link.unlink()
    link.symlink_to(release)


def booted(server: Plain) -> int:
    """How many workers were started, ever."""
    return server.log.read_text().count("Booting worker")


@pytest.mark.parametrize("word", [signal.SIGHUP, signal.SIGUSR2])
def test_behind_a_link_the_old_release_is_loaded_again(tmp_path: Path, word: signal.Signals) -> None:
    """Gunicorn asked for its folder once, and was told where the link led."""
    link = behind_a_link(tmp_path)
    with plain(link) as server:
        lead(link, "v2")
        server.process.send_signal(word)
        until(lambda: booted(server) >= 2 * WORKERS, 60, "new workers")
        if word is signal.SIGUSR2:
            server.stop()
        assert {server.version() for _ in range(20)} == {"v1"}


def test_behind_a_link_a_stop_and_start_loads_the_new_release(tmp_path: Path) -> None:
    link = behind_a_link(tmp_path)
    with plain(link) as server:
        lead(link, "v2")
        server.restart()
        assert server.version() == "v2"


def test_a_stop_and_start_of_a_broken_release_leaves_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    with plain(folder) as server:
        make_app(folder, version="v2", import_error="ImportError")
        with pytest.raises(OSError, match=r"."):
            server.restart()
        until(lambda: server.process.poll() is not None, 60, "the end of the new one")


def test_usr2_makes_nobody_wait_for_the_import(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    with plain(folder) as server:
        make_app(folder, version="v2", import_seconds=SLOW)
        with traffic(f"{server.url}/") as load:
            server.process.send_signal(signal.SIGUSR2)
            until(lambda: server.version() == "v2", 60, "the new release")
    demand_no_loss(load)
    assert load.report["spoilt"] or float(load.report["latency_ms"]["max"]) / 1000 < wait_limit(SLOW)


def test_usr2_and_then_term_answers_what_is_held(tmp_path: Path) -> None:
    """Idle, half sent and kept-alive connections, 10 to 300 ms after the word to the old master to leave."""
    folder = made(tmp_path / "project")
    # a thread for each of them: half a request holds one
    with plain_gunicorn(folder, workers=WORKERS, threads=MANY) as server:
        make_app(folder, version="v2")

        def act() -> None:
            server.process.send_signal(signal.SIGUSR2)
            until(lambda: server.version() == "v2", 60, "the new release")
            server.stop()

        results = race(server.url, act, server.is_stopping, SERVERS["gthread"].kinds)
    demand_every_answer(results, ANY)


def test_usr2_to_a_broken_release_leaves_the_old_master_alone(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    with plain(folder) as server:
        make_app(folder, version="v2", import_error="ImportError")
        with traffic(f"{server.url}/") as load:
            server.process.send_signal(signal.SIGUSR2)
            until(
                lambda: "Worker failed to boot" in server.log.read_text(), 60, "the end of the second master"
            )
        demand_no_loss(load)
        assert server.process.poll() is None
        assert server.version() == "v1"


@pytest.mark.parametrize("word", [signal.SIGHUP, signal.SIGUSR2])
def test_a_release_that_is_not_healthy_is_given_to_users(tmp_path: Path, word: signal.Signals) -> None:
    """Nobody asked it first."""
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    with plain(folder) as server:
        make_app(folder, version="v2", check="500")
        server.process.send_signal(word)
        until(lambda: server.version() == "v2", 60, "an answer of the new release")


def test_hup_with_preload_loads_the_old_release_again(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    (folder / "gunicorn.conf.py").write_text("preload_app = True\n")
    with plain(folder) as server:
        make_app(folder, version="v2")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: booted(server) >= 2 * WORKERS, 60, "new workers")
        assert {server.version() for _ in range(20)} == {"v1"}
