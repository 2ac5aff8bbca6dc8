"""Kept-alive connections that stay in use through deploys, written to docs/benchmarks/connections.md."""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
from tests.support.apps import Interface, make_app
from tests.support.leaving import PATIENT
from tests.support.site import Site, configure, serving

from segue.proof.connection import Connection, Pool, RequestError
from segue.proof.report import SPOILT_LAG_MS
from segue.proof.spec import Shot
from segue.proof.target import parse_target

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks" / "connections.md"
CONNECTIONS = 2000
DEPLOYS = 20
PERIOD = 4.0  # seconds between two requests on one connection
# P1 ends with it: longer than a connection idles, so that each of them is promised its answer
LINGER = 5.0
TIMEOUT = 20.0
IMPORT_SECONDS = 1.0
DESCRIPTORS = 8 * CONNECTIONS

SERVERS: tuple[tuple[str, Interface, dict[str, object]], ...] = (
    # a worker of Gunicorn's takes 1,000 connections; more of them, so that it does not matter who gets which
    ("Gunicorn, gthread", "wsgi", {"workers": 4, "threads": 4}),
    ("Uvicorn", "asgi", {"server": "uvicorn", "workers": 2, "server_args": ("--timeout-keep-alive", "75")}),
)

TEXT = """\
# Connections that are kept alive, through deploys

Written by `make bench-connections`, on {when}. {where}.

{connections:,} connections to `segue up`, each kept alive and used once in {period:g} s, through {deploys}
deploys of an app that imports for {seconds:g} s, with `linger = "{linger:g}s"`: longer than a connection
idles, as [the promise](../promises.md) demands. Nothing is retried. A connection that the server has ended
with its last answer is opened anew for the next request; one that it ended while it idled is, too, and broke
the promise. A request that gets no full answer is lost.

| | requests | lost | ended while idle | opened anew | slowest |
|---|---|---|---|---|---|
{rows}{mark}
"""
STARVED = """

**The machine was starved in this run:** a request left more than {limit} ms late. Read the slowest as
rough."""


@dataclass
class Seen:
    """What became of all requests; seconds."""

    asked: int = 0
    opened: int = 0
    ended_idle: int = 0
    slowest: float = 0.0
    late: float = 0.0
    lost: Counter[str] = field(default_factory=Counter)


@dataclass
class Clients:
    """Connections to one site, each used in its turn."""

    url: str
    number: int
    seen: Seen = field(default_factory=Seen)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Use all of them until told to end."""
        self._target = parse_target(f"{self.url}/")
        self._pool = Pool(self._target, insecure=False)
        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(self.number):
                group.create_task(self._use(start + number * PERIOD / self.number))

    async def _use(self, moment: float) -> None:
        connection: Connection | None = None
        while not await self._ended_before(moment):
            self.seen.late = max(self.seen.late, time.monotonic() - moment)
            connection = await self._ask(connection, moment)
            moment += PERIOD
        if connection is not None:
            connection.close()

    async def _ended_before(self, moment: float) -> bool:
        try:
            async with asyncio.timeout(moment - time.monotonic()):
                await self.ended.wait()
        except TimeoutError:
            return False
        return True

    async def _ask(self, connection: Connection | None, moment: float) -> Connection | None:
        """One request; the connection, where it can carry another."""
        if connection is not None and not connection.is_quiet():
            self.seen.ended_idle += 1
            connection.close()
            connection = None
        self.seen.asked += 1
        try:
            async with asyncio.timeout(TIMEOUT):
                if connection is None:
                    self.seen.opened += 1
                    connection = await self._pool.open()
                answer = await connection.exchange(*Shot().request(0, self._target, keep_alive=True), 0.0)
        except (RequestError, OSError) as error:
            self.seen.lost[repr(error)] += 1
            if connection is not None:
                connection.close()
            return None
        self.seen.slowest = max(self.seen.slowest, time.monotonic() - moment)
        if answer.status >= 400:  # noqa: PLR2004 - as the probe has it
            self.seen.lost[f"status {answer.status}"] += 1
        if connection.make_reusable():
            return connection
        connection.close()
        return None


@click.command()
@click.option("--deploys", default=DEPLOYS, metavar="N", help=f"[{DEPLOYS}]")
@click.option("--connections", default=CONNECTIONS, metavar="N", help=f"[{CONNECTIONS}]")
def main(deploys: int, connections: int) -> None:
    """Run the deploys; the page is written by a whole run alone. Ends with 1 where a request was lost."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C does, it ends what was started
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    load, found = os.getloadavg()[0], []
    for name, interface, settings in SERVERS:
        with tempfile.TemporaryDirectory() as folder:
            found.append((name, _measure(Path(folder, "app"), interface, settings, deploys, connections)))
        print(name, found[-1][1], file=sys.stderr, flush=True)
    page = _page(found, deploys, connections, load)
    if (deploys, connections) == (DEPLOYS, CONNECTIONS):
        PAGE.write_text(page)
    else:
        page += "\na short form: no page was written"
    print(page)
    sys.exit(any(seen.lost or seen.ended_idle for _, seen in found))


def _measure(
    folder: Path, interface: Interface, settings: dict[str, object], deploys: int, connections: int
) -> Seen:
    make_app(folder, version="v0", interface=interface, import_seconds=IMPORT_SECONDS)
    (folder / "gunicorn.conf.py").write_text(PATIENT)
    configure(folder, linger=f"{LINGER:g}s", keep=2, ready_timeout="60s", **settings)
    with serving(folder) as site:
        return asyncio.run(_through(site, deploys, connections))


async def _through(site: Site, deploys: int, connections: int) -> Seen:
    clients = Clients(site.url, connections)
    using = asyncio.create_task(clients.run())
    for number in range(1, deploys + 1):
        make_app(site.folder, version=f"v{number}", import_seconds=IMPORT_SECONDS)
        await _in_use(clients, using)
        await asyncio.to_thread(site.deploy)
        print(f"deploy {number}: {clients.seen}", file=sys.stderr, flush=True)
    await _in_use(clients, using)
    clients.ended.set()
    await using
    return clients.seen


async def _in_use(clients: Clients, using: asyncio.Task[None]) -> None:
    """Wait until each connection has had its turn."""
    goal = clients.seen.asked + clients.number
    while clients.seen.asked < goal and not using.done():
        await asyncio.sleep(PERIOD / 10)


def _page(found: Sequence[tuple[str, Seen]], deploys: int, connections: int, load: float) -> str:
    starved = max(seen.late for _, seen in found) * 1000 > SPOILT_LAG_MS
    return TEXT.format(
        when=f"{datetime.now(UTC):%d %B %Y}",
        where=f"Python {platform.python_version()}, gunicorn {version('gunicorn')}, "
        f"uvicorn {version('uvicorn')}; {os.cpu_count()} cores, load average {load:.1f} at the start",
        connections=connections,
        deploys=deploys,
        period=PERIOD,
        linger=LINGER,
        seconds=IMPORT_SECONDS,
        rows="\n".join(_row(name, seen, seen.opened - connections) for name, seen in found),
        mark=STARVED.format(limit=SPOILT_LAG_MS) if starved else "",
    )


def _row(name: str, seen: Seen, reopened: int) -> str:
    counts = (seen.asked, seen.lost.total(), seen.ended_idle, reopened)
    return f"| {name} | {' | '.join(f'{count:,}' for count in counts)} | {seen.slowest * 1000:,.0f} ms |"


if __name__ == "__main__":
    main()
