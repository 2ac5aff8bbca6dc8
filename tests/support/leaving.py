"""Races against the old workers' leaving: what a deploy catches in the middle, from near and far."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.apps import make_app
from tests.support.plain import plain_gunicorn
from tests.support.race import (
    OFFSETS,
    SPOILT_LAG,
    Kind,
    Result,
    demand_every_answer,
    race,
    unspoilt,
    wait_limit,
)
from tests.support.site import Site, configure, serving
from tests.support.table import SERVERS
from tests.support.way import NEAR, Way

ANY = float("inf")
# Idle connections are to be ended by deploys alone, not by Gunicorn's own 2 s: a request that comes just then
# is lost, with or without a deploy, and a busy machine may take longer to read what was sent in time.
PATIENT = "keepalive = 75\n"
PLAIN: dict[str, dict[str, Any]] = {
    "sync": {"workers": 3, "threads": 1},
    "gthread": {"workers": 3, "threads": 4},
}


def made(folder: Path, server: str = "sync") -> Path:
    """A project at v1."""
    make_app(folder, version="v1", interface=SERVERS[server].interface)
    (folder / "gunicorn.conf.py").write_text(PATIENT)
    return folder


def through(site: Site, verb: str, kinds: Sequence[Kind], **options: Any) -> list[Result]:
    """Race against one deploy or rollback; nobody is lost."""
    results = raced(site, verb, kinds, **options)
    demand_every_answer(results, ANY)
    return results


def raced(
    site: Site,
    verb: str,
    kinds: Sequence[Kind],
    *,
    polite: bool = True,
    offsets: Sequence[float] = OFFSETS,
) -> list[Result]:
    """Race against one deploy or rollback; what became of each."""
    leaving = site.live().folder / "leaving"

    def act() -> None:
        outcome = site.segue(verb)
        assert outcome.code == 0, f"{outcome.err}\n{site.keeper_log()}"

    return race(site.url, act, leaving.exists, kinds, offsets=offsets, polite=polite, way=site.way)


def caught(site: Site, verb: str, kinds: Sequence[Kind], *, polite: bool) -> list[Result]:
    """The same, and what was open before was on the old workers until it had its answer."""
    old = site.live().name
    results = raced(site, verb, kinds, polite=polite)
    # who was held up may have come after the linger
    if lag(results) <= SPOILT_LAG:
        demand_every_answer(results, ANY)
        assert {result.generation for result in results if result.kind != "fresh"} == {old}
    return results


def lag(results: list[Result]) -> float:
    """How late the latest racer started, or how long anybody was held up, in seconds."""
    return max(max(result.late, result.held_up) for result in results)


def race_both_ways(folder: Path, server: str, way: Way = NEAR, **settings: Any) -> None:
    """Race against a deploy, with clients that never close, and a rollback: each is answered, and soon."""
    made(folder, server)
    configure(folder, linger="1s", **SERVERS[server].race, **settings)
    with serving(folder, way=way) as site:
        make_app(folder, version="v2")
        for verb, polite in (("deploy", False), ("rollback", True)):
            results = unspoilt(partial(caught, site, verb, SERVERS[server].kinds, polite=polite), lag)
            demand_every_answer(results, longest_wait(way))


def longest_wait(way: Way, import_seconds: float = 0) -> float:
    """The longest wait, in seconds, over `way`: with a round trip to connect, and one to be answered."""
    return wait_limit(import_seconds) + 2 * way.round_trip


def demand_a_restart_loses(folder: Path, server: str, way: Way = NEAR) -> None:
    """The assertion of the races turns red for a Gunicorn that is stopped and started again."""
    with plain_gunicorn(made(folder), **PLAIN[server], way=way) as plain:
        # so long that nobody on a busy machine starts after the site is back
        make_app(folder, version="v2", import_seconds=3)
        results = race(plain.url, plain.restart, plain.is_stopping, SERVERS[server].kinds, way=way)
    # or, where each of them found the next server, the wait for that
    with pytest.raises(AssertionError, match=r"^(lost \d+ of|waited .* over the limit)"):
        demand_every_answer(results, longest_wait(way))


def demand_a_hup_waits(folder: Path, server: str, way: Way = NEAR) -> None:
    """It turns red for HUP, too: nobody is lost, but new connections wait for the whole import."""
    with plain_gunicorn(made(folder), **PLAIN[server], way=way) as plain:
        make_app(folder, version="v2", import_seconds=3)
        results = race(plain.url, plain.hup, plain.is_replacing, SERVERS[server].kinds, way=way)
    with pytest.raises(AssertionError, match=r"^waited .* over the limit"):
        demand_every_answer(results, longest_wait(way, 3))
