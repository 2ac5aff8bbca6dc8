"""What the wrapper costs, measured and written to docs/benchmarks/wrapper.md."""

from __future__ import annotations

import os
import platform
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.calls import PER_ROUND, Cost, costs
from benchmarks.numbers import Estimate
from benchmarks.servers import SERVERS
from benchmarks.throughput import WIDE, Comparison, compare

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks" / "wrapper.md"
PACKAGES = ("gunicorn", "uvicorn", "httptools", "uvloop")
ROUNDS = 400
PAIRS = 12
QUADRUPLES = 15
SECONDS = 0.2

TEXT = """\
# What the wrapper costs

Written by `make bench-wrapper`, on {when}. {where}.

With `wrap = true`, the default, a thin layer in each worker adds the two headers that name the release and
counts requests. `wrap = false` turns it off.{mark}

## A request, in µs

The gate's own code, called as the server calls it, around an app that does nothing but answer 13 bytes:
{rounds} rounds of {per_round:,} requests for each way, in random order, in the thread's CPU time. The median,
and its 95 % interval. For WSGI both of Gunicorn's hooks are in it. What the server does with two more headers
is not.

| | the app alone | `wrap = true` adds | `wrap = false` adds |
|---|---|---|---|
{calls}

## Throughput against the bare server

The same app behind a real server with one worker, once under `segue up` and once started by its own command
line with the same settings, over loopback. Eight connections are kept alive, and each asks again as soon as
it has its answer. The servers share one core, the load has another. The order is wrapped, bare, bare, wrapped
(ABBA), {seconds} s each, {quadruples} times for a pair of servers, and there are {pairs} pairs. A pair's
ratio is the median of its quadruples; below is the geometric mean over the pairs, with Student's 95 %
interval on the logarithms.

| | bare, answers per second | wrapped to bare |
|---|---|---|
{servers}

An app that does nothing shows the cost at its largest. One that computes 5 ms for each answer is slowed down
by less than a part in a hundred.
"""
STARVED = """

**The machine was starved in this run:** an interval below reaches further than {wide:.0%} to a side. Read the
ratios as rough."""


def main() -> None:
    """Measure, and write the page."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        calls = costs(Path(folder, "gate"), ROUNDS)
        servers = {
            server.name: compare(server, Path(folder, str(number)), PAIRS, QUADRUPLES, SECONDS)
            for number, server in enumerate(SERVERS)
        }
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(_page(calls, servers, load))
    print(PAGE.read_text())


def _page(calls: dict[str, Cost], servers: dict[str, Comparison], load: float) -> str:
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    machine = f"{os.cpu_count()} cores, load average {load:.1f} at the start"
    return TEXT.format(
        when=f"{datetime.now(UTC):%d %B %Y}",
        where=f"Python {platform.python_version()}, {versions}; {machine}",
        mark=STARVED.format(wide=WIDE) if any(each.starved for each in servers.values()) else "",
        rounds=ROUNDS,
        per_round=PER_ROUND,
        seconds=SECONDS,
        quadruples=QUADRUPLES,
        pairs=PAIRS,
        calls="\n".join(_call_row(interface, cost) for interface, cost in calls.items()),
        servers="\n".join(_server_row(name, seen) for name, seen in servers.items()),
    )


def _call_row(interface: str, cost: Cost) -> str:
    cells = (interface, f"{cost.bare.value:.2f}", _show(cost.wrapped, 2), _show(cost.unwrapped, 2))
    return f"| {' | '.join(cells)} |"


def _server_row(name: str, seen: Comparison) -> str:
    return f"| {name} | {seen.bare.value:,.0f} | {_show(seen.ratio, 3)} |"


def _show(estimate: Estimate, digits: int) -> str:
    value, low, high = (f"{number:.{digits}f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"


if __name__ == "__main__":
    main()
