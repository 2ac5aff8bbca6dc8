"""P1 in slow motion: every connection that a deploy catches in the middle gets its full answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.race import Kind, Result, demand_every_answer, plain_gunicorn, race, unspoilt, wait_limit
from tests.support.site import Site, configure, serving

# Idle and half-sent connections hold a sync worker each: more workers than those, so that some can serve.
SETTINGS = {"sync": {"workers": 10, "threads": 1}, "gthread": {"workers": 4, "threads": 4}}
PLAIN = {"sync": {"workers": 3, "threads": 1}, "gthread": {"workers": 3, "threads": 4}}
# The kept come first: an idle connection holds a thread too, for as long as nothing is sent on it.
KINDS: dict[str, tuple[Kind, ...]] = {
    "sync": ("idle", "half", "fresh"),
    "gthread": ("kept", "kept", "kept", "idle", "half", "fresh"),
}
ANY = float("inf")
# Idle connections are to be ended by deploys alone, not by Gunicorn's own 2 s.
PATIENT = "keepalive = 75\n"

servers = pytest.mark.parametrize("server", ["sync", "gthread"])


def made(tmp_path: Path) -> Path:
    """A project at v1."""
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    (folder / "gunicorn.conf.py").write_text(PATIENT)
    return folder


def through(site: Site, verb: str, kinds: Sequence[Kind], *, polite: bool = True) -> list[Result]:
    """Race against one deploy or rollback; nobody is lost."""
    leaving = site.live().folder / "leaving"

    def act() -> None:
        outcome = site.segue(verb)
        assert outcome.code == 0, f"{outcome.err}\n{site.keeper_log()}"

    results = race(site.url, act, leaving.exists, kinds, polite=polite)
    demand_every_answer(results, ANY)
    return results


def caught(site: Site, verb: str, kinds: Sequence[Kind], *, polite: bool) -> list[Result]:
    """The same, and what was open before was on the old workers until it had its answer."""
    old = site.live().name
    results = through(site, verb, kinds, polite=polite)
    assert {result.generation for result in results if result.kind != "fresh"} == {old}
    return results


def lag(results: list[Result]) -> float:
    """How late the latest racer started, in seconds."""
    return max(result.late for result in results)


@servers
@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
def test_old_workers_answer_whatever_they_hold(tmp_path: Path, server: str, *, preload: bool) -> None:
    """Idle, half sent, kept alive or new, 10 to 300 ms after the word to leave; careless clients, too."""
    folder = made(tmp_path)
    configure(folder, preload=preload, linger="1s", **SETTINGS[server])
    with serving(folder) as site:
        make_app(folder, version="v2")
        for verb, polite in (("deploy", False), ("rollback", True)):
            results = unspoilt(partial(caught, site, verb, KINDS[server], polite=polite), lag)
            demand_every_answer(results, wait_limit(0))


def test_new_workers_answer_what_the_old_ones_left_in_the_queue(tmp_path: Path) -> None:
    """More idle connections than sync workers: most of them were never accepted when the old workers left."""
    folder = made(tmp_path)
    # with every worker held by a client that sends nothing, nobody can answer the watch
    configure(folder, workers=2, threads=1, watch="0s", watch_requests=0, probe_rate=1)
    with serving(folder) as site:
        old = site.live().name
        results = through(site, "deploy", ("idle", "idle", "half"))
        by_old = [result for result in results if result.generation == old]
        assert len(by_old) < len(results)


@servers
def test_a_naive_restart_loses_this_race(tmp_path: Path, server: str) -> None:
    """The same assertion, against stopping Gunicorn and starting it again."""
    with plain_gunicorn(made(tmp_path), **PLAIN[server]) as plain:
        results = race(plain.url, plain.restart, plain.is_stopping, KINDS[server])
    with pytest.raises(AssertionError, match=r"^lost \d+ of"):
        demand_every_answer(results, wait_limit(0))


@servers
def test_a_plain_hup_loses_this_race_by_waiting_for_the_import(tmp_path: Path, server: str) -> None:
    """The same assertion, against HUP: nobody is lost, but new connections wait for the whole import."""
    folder = made(tmp_path)
    with plain_gunicorn(folder, **PLAIN[server]) as plain:
        make_app(folder, version="v2", import_seconds=3)
        results = race(plain.url, plain.hup, plain.is_replacing, KINDS[server])
    with pytest.raises(AssertionError, match=r"^waited .* over the limit"):
        demand_every_answer(results, wait_limit(3))


@servers
def test_a_plain_hup_to_a_broken_release_loses_this_race(tmp_path: Path, server: str) -> None:
    """The same assertion, against HUP on code that can't be imported: the master ends, and the site too."""
    folder = made(tmp_path)
    with plain_gunicorn(folder, **PLAIN[server]) as plain:
        make_app(folder, version="v2", import_error="ImportError")
        results = race(plain.url, plain.hup, plain.is_replacing, KINDS[server])
        assert plain.process.poll() is not None, "the master lives"
    with pytest.raises(AssertionError, match=r"^lost \d+ of"):
        demand_every_answer(results, wait_limit(0))
