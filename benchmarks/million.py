"""Deploys, good and bad, under a million requests of the full mix, written to docs/benchmarks/million.md."""

from __future__ import annotations

import os
import platform
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from typing import Any

import click
from tests.support.apps import make_app, stored_orders
from tests.support.main_job import PATIENT, mixed_traffic
from tests.support.site import Site, Traffic, configure, serving, until
from tests.support.table import SERVERS

from segue.proof.report import SPOILT_LAG_MS

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks" / "million.md"
REQUESTS = 1_000_000
DEPLOYS = 100
GOOD_TO_BAD = 10
RATE = 500
IMPORT_SECONDS = 1.0
FAULTS: tuple[dict[str, Any], ...] = ({"import_error": "ModuleNotFoundError"}, {"check": "500"})
REFUSED = 1
LONGEST = 4.0  # times what the requests take at their rate

TEXT = """\
# A million requests through deploys

Written by `make bench-million`, on {when}. {where}.

`segue up` with Gunicorn's gthread workers, an app that imports for {seconds:g} s, and the full mix of
requests: pages and orders at {rate} a second, half of them kept alive; slow answers, streams and slow uploads
beside. Nothing is retried. One deploy after the other meanwhile, and after every {each}th a release that does
not import, or one that answers 500 to its check.

| | |
|---|---|
| requests | {sent:,} |
| lost | {lost:,}{kinds} |
| cut at the end of a drain | {cut:,} |
| good deploys, live | {deploys} |
| bad releases, refused | {refused} of {bad} |
| orders that were answered for | {orders.answered:,} |
| of them not stored | {orders.missing:,} |
| orders stored twice | {orders.twice:,} |
| slowest page or order | {slowest:,.0f} ms |
| longest time without an answer to them | {gap:,.0f} ms |
{mark}"""
STARVED = """
**The machine was starved in this run:** the probe was late by {lag:,.0f} ms. Read the times as rough; a lost
request would be one all the same.
"""


@dataclass
class Done:
    """What the deploys came to."""

    deploys: int = 0
    bad: int = 0
    refused: int = 0
    cut: int = 0
    trouble: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Orders:
    """The second witness: what was answered for, and what the app stored."""

    answered: int
    stored: list[int]

    @property
    def missing(self) -> int:
        """How many fewer were stored than were answered for."""
        return max(0, self.answered - len(set(self.stored)))

    @property
    def twice(self) -> int:
        """How many were stored more than once."""
        return len(self.stored) - len(set(self.stored))


@click.command()
@click.option("--deploys", default=DEPLOYS, metavar="N", help=f"Good deploys [{DEPLOYS}].")
@click.option("--requests", default=REQUESTS, metavar="N", help=f"At least so many [{REQUESTS}].")
def main(deploys: int, requests: int) -> None:
    """Run it; a whole run alone writes the page. Ends with 1 where anything was lost or let through."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C does, it ends what was started
    load, done = os.getloadavg()[0], Done()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "app")
        make_app(project, version="v0", interface="wsgi", import_seconds=IMPORT_SECONDS)
        (project / "gunicorn.conf.py").write_text(PATIENT)
        configure(project, linger="1s", keep=2, ready_timeout="60s", **SERVERS["gthread"].job)
        with serving(project) as site, mixed_traffic(site, RATE) as (quick, slow):
            _carry_out(site, quick, done, deploys, requests)
        orders = Orders(quick.report["statuses"].get("201", 0), stored_orders(project))
        page = _page(quick.report, slow.report, done, orders, load)
        print(page, *done.trouble, sep="\n", flush=True)
    if deploys >= DEPLOYS and requests >= REQUESTS:
        PAGE.write_text(page)
    else:
        print("a short form: no page was written")
    sys.exit(bool(quick.lost or slow.lost or done.cut or done.trouble or orders.missing or orders.twice))


def _carry_out(site: Site, quick: Traffic, done: Done, deploys: int, requests: int) -> None:
    """Deploys, spread over the requests; then traffic until all of these are sent."""
    steps = list(_steps(deploys))
    for number, fault in enumerate(steps):
        _until_sent(quick, requests * number // len(steps), requests)
        make_app(site.folder, version=f"v{number + 1}", import_seconds=IMPORT_SECONDS, **fault)
        _deploy(site, fault, done)
        sent = quick.so_far()
        print(
            f"{number + 1} of {len(steps)}: {sent['sent']:,} requests, {sent['failed']} lost; {done}",
            file=sys.stderr,
            flush=True,
        )
    _until_sent(quick, requests, requests)


def _steps(deploys: int) -> Iterator[dict[str, Any]]:
    """What is wrong with each release; nothing, with most."""
    faults = cycle(FAULTS)
    for number in range(1, deploys + 1):
        yield {}
        if number % GOOD_TO_BAD == 0:
            yield next(faults)


def _until_sent(quick: Traffic, goal: int, requests: int) -> None:
    until(lambda: quick.so_far()["sent"] >= goal, LONGEST * requests / RATE + 60, f"{goal:,} requests")


def _deploy(site: Site, fault: dict[str, Any], done: Done) -> None:
    live = site.live().name
    outcome = site.segue("deploy", "--json")
    receipt = outcome.document
    done.cut += receipt.get("cut", 0)
    if not fault and outcome.code == 0:
        done.deploys += 1
    elif fault:
        done.bad += 1
        done.refused += outcome.code == REFUSED and site.live().name == live
    if outcome.code != (REFUSED if fault else 0):
        what = "a bad release" if fault else "a good release"
        done.trouble.append(f"{what} ended with {outcome.code}: {receipt['error']}")


def _page(quick: dict[str, Any], slow: dict[str, Any], done: Done, orders: Orders, load: float) -> str:
    kinds = Counter(quick["failures"]) + Counter(slow["failures"])
    return TEXT.format(
        when=f"{datetime.now(UTC):%d %B %Y}",
        where=f"Python {platform.python_version()}, gunicorn {version('gunicorn')}; "
        f"{os.cpu_count()} cores, load average {load:.1f} at the start",
        seconds=IMPORT_SECONDS,
        rate=RATE,
        each=GOOD_TO_BAD,
        sent=quick["sent"] + slow["sent"],
        lost=quick["failed"] + slow["failed"],
        kinds=f" ({', '.join(f'{name}: {count}' for name, count in kinds.items())})" if kinds else "",
        cut=done.cut,
        deploys=done.deploys,
        refused=done.refused,
        bad=done.bad,
        orders=orders,
        slowest=quick["latency_ms"]["max"],
        gap=quick["longest_gap_ms"],
        mark=STARVED.format(lag=quick["lag_ms"]) if quick["lag_ms"] > SPOILT_LAG_MS else "",
    )


if __name__ == "__main__":
    main()
