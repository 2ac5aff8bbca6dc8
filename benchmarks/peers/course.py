"""The course that every peer runs: quiet and deploying in turns, then two bad releases, then races."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.support.leaving import lag
from tests.support.race import SPOILT_LAG, race
from tests.support.site import traffic

from benchmarks.peers.asking import first_answer, settle, who_answers
from benchmarks.peers.place import Peer, Place, Running
from benchmarks.peers.row import Bad, Races, Round, Row, Side
from segue.proof.spec import Shot

SHOTS = (Shot(), Shot(method="POST", path="/orders", body=(b'{"id": {n}}',)))
FAULTS: tuple[dict[str, Any], ...] = ({"import_error": "ModuleNotFoundError"}, {"check": "500"})
MEMORY_INTERVAL = 0.1
NEVER = 12.0  # seconds after the command's end in which the new release has to answer


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        deploys: good ones.
        spare: how many rounds more may be run in place of spoilt ones.
        rate: requests a second.
        quiet: seconds of traffic without a deploy, before each deploy.
        after: seconds of traffic after a deploy.
        bad: seconds of traffic after the command for a bad release: some servers take it worker by worker.
    """

    deploys: int = 5
    spare: int = 3
    rate: float = 200.0
    quiet: float = 3.0
    after: float = 2.0
    bad: float = 8.0


def run(peer: Peer, python: Path, size: Size) -> Row:
    """One row: `peer` through the course, with the servers of `python`."""
    rounds = run_deploys(peer, python, size)
    no_import, unhealthy = (_bad(peer, python, size, fault) for fault in FAULTS)
    return Row(peer.name, tuple(rounds), no_import, unhealthy, _races(peer, python))


def run_deploys(peer: Peer, python: Path, size: Size) -> list[Round]:
    """As many rounds as asked for that were not spoilt, and the spoilt ones besides."""
    rounds: list[Round] = []
    most = size.deploys + size.spare
    with peer.serving(python) as (place, running):
        while len(rounds) < most and sum(not each.spoilt for each in rounds) < size.deploys:
            rounds.append(_round(place, running, size, f"v{len(rounds) + 2}"))
    return rounds


def _round(place: Place, running: Running, size: Size, version: str) -> Round:
    with traffic(f"{running.url}/", rate=size.rate, shots=SHOTS) as quiet:
        time.sleep(size.quiet)
    at_rest = _memory(running.processes())
    place.release(version)
    with (
        traffic(f"{running.url}/", rate=size.rate, shots=SHOTS) as load,
        _most_memory(running) as most,
        ThreadPoolExecutor(1) as pool,
    ):
        too_late = threading.Event()
        first = pool.submit(first_answer, running.url, version, time.monotonic(), too_late)
        try:
            running.deploy(version)
            wait([first], NEVER)
        finally:
            too_late.set()
        if (seconds := first.result()) is not None:
            settle(running.url, version)
        time.sleep(size.after)
    return Round(_side(quiet.report), _side(load.report), seconds, most() / at_rest)


def _side(report: dict[str, Any]) -> Side:
    return Side(
        sent=report["sent"],
        lost=report["failed"],
        slowest_ms=report["latency_ms"]["max"],
        gap_ms=report["longest_gap_ms"],
        lag_ms=report["lag_ms"],
    )


def _bad(peer: Peer, python: Path, size: Size, fault: dict[str, Any]) -> Bad:
    with peer.serving(python) as (place, running):
        place.release("v2", **fault)
        with traffic(f"{running.url}/", rate=size.rate, shots=SHOTS) as load:
            running.deploy("v2")
            time.sleep(size.bad)
        answering = frozenset(who_answers(running.url))
    return Bad(load.report["sent"], load.lost, answering, "v2")


def _races(peer: Peer, python: Path) -> Races:
    with peer.serving(python) as (place, running):
        place.release("v2")

        def act() -> None:
            running.deploy("v2")
            settle(running.url, "v2")

        try:
            results = race(running.url, act, running.is_leaving, peer.kinds)
        except (AssertionError, OSError, HTTPException) as error:
            return Races(0, 0, late=False, trouble=f"{type(error).__name__}: {error}".splitlines()[0])
    return Races(len(results), sum(each.outcome == "lost" for each in results), lag(results) > SPOILT_LAG)


@contextmanager
def _most_memory(running: Running) -> Iterator[Callable[[], int]]:
    """The most memory, in bytes, that its processes had at once within the block."""
    ended, seen = threading.Event(), [_memory(running.processes())]

    def look() -> None:
        while not ended.wait(MEMORY_INTERVAL):
            seen.append(_memory(running.processes()))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield lambda: max(seen)
    finally:
        ended.set()
        looking.join()


def _memory(pids: Sequence[int]) -> int:
    """The sum of the proportional set sizes: what is shared is shared out."""
    return sum(_pss(pid) for pid in pids)


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # gone meanwhile
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
