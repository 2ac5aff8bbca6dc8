"""Races on purpose: connections caught in the middle when the old workers are told to leave.

Loopback has no round trip and hides these races, so the window is opened by hand: each connection waits
in a known state, and sends its request a fixed time after the word to leave was given.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.client import HTTPException, HTTPResponse
from typing import Literal, TypeVar

from tests.support.way import NEAR, Way

Kind = Literal["idle", "half", "kept", "fresh"]
Outcome = Literal["answered", "closed", "lost"]
Ran = TypeVar("Ran")

OFFSETS = (0.01, 0.05, 0.15, 0.3)
ANSWER_TIMEOUT = 60.0
ACT_TIMEOUT = 60.0
LOOK_TIMEOUT = 1.0
TICK = 0.001
BEAT = 0.01
SPOILT_LAG = 0.05
MOST_RUNS = 8
SHORTEST_LIMIT = 0.25

GET = b"GET / HTTP/1.1\r\nHost: race\r\n\r\n"
HALF = b"x" * 20_000
POST = b"POST /upload HTTP/1.1\r\nHost: race\r\nContent-Length: %d\r\n\r\n" % (2 * len(HALF))


class Gun:
    """Starts all racers at one moment; they start as well when the act ends without that moment."""

    def __init__(self) -> None:
        self._fired = threading.Event()
        self._moment = 0.0

    def wait(self) -> float:
        """Wait for the moment, and return it."""
        assert self._fired.wait(ACT_TIMEOUT), "the old workers were never told to leave"
        return self._moment

    def fire_when(self, told: Callable[[], object], acting: Future[object]) -> float:
        """Start them all once the old workers are `told` to leave; how late, in seconds, at most."""
        looked = time.monotonic()
        deadline = looked + ACT_TIMEOUT
        while not told() and not acting.done() and looked < deadline:
            looked = time.monotonic()
            time.sleep(TICK)
        self._moment = time.monotonic()
        self._fired.set()
        return self._moment - looked


@dataclass(frozen=True)
class Result:
    """What became of one racer.

    Attributes:
        kind: the state its connection was in when the old workers were told to leave.
        offset: how many seconds after that it sent its request.
        outcome: ``closed``: an idle connection whose end could be seen before anything was sent: legal.
        waited: seconds from its request to the last byte of the answer.
        late: how many seconds later than its offset it really started.
        generation: who says to have answered.
        detail: what was seen instead of an answer.
        held_up: how many seconds too late, at worst, this process was woken during the race.
    """

    kind: Kind
    offset: float
    outcome: Outcome
    waited: float = 0.0
    late: float = 0.0
    generation: str = ""
    detail: str = ""
    held_up: float = 0.0


@dataclass
class Racer:
    """One connection that waits for its moment.

    Attributes:
        kind: ``idle``: open, nothing sent; ``half``: sent a POST's head and half of its body; ``kept``: had
            one answer, and is kept alive; ``fresh``: not open yet.
        offset: when it sends its request, or what is left of it.
        url: the site's.
        polite: whether it closes its side when it has its answer; else it never does, as careless clients do.
        way: how it gets there.
    """

    kind: Kind
    offset: float
    url: str
    polite: bool
    way: Way
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def prepare(self) -> None:
        """Bring the connection into its state."""
        if self.kind == "fresh":
            return
        self._connect()
        if self.kind == "half":
            self.sock.sendall(POST + HALF)
        if self.kind == "kept":
            self.sock.sendall(GET)
            self._read()

    def _connect(self) -> None:
        self.sock = self.stack.enter_context(self.way.connect(self.url, ANSWER_TIMEOUT))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self, gun: Gun) -> Result:
        """Send when `gun` has fired and this racer's offset is over; what came of it."""
        start = gun.wait()
        _sleep_until(start + self.offset)
        began = time.monotonic()
        try:
            outcome, generation = self._finish()
            result = Result(self.kind, self.offset, outcome, generation=generation)
        except (OSError, HTTPException) as error:
            result = Result(self.kind, self.offset, "lost", detail=repr(error))
        waited = time.monotonic() - began
        if self.polite:
            self.stack.close()
        return replace(result, waited=waited, late=began - start - self.offset)

    def _finish(self) -> tuple[Outcome, str]:
        if self.kind == "fresh":
            self._connect()
        if self.kind == "kept" and _is_closed(self.sock):
            return "closed", ""
        self.sock.sendall(HALF if self.kind == "half" else GET)
        return "answered", self._read()

    def _read(self) -> str:
        response = HTTPResponse(self.sock)
        response.begin()
        body = response.read()
        expected = rb"%d" % (2 * len(HALF)) if self.kind == "half" else rb"v\d+"
        if response.status != 200 or not re.fullmatch(expected, body):
            raise HTTPException(f"answered {response.status} {body[:80]!r}")
        return response.headers.get("X-Segue-Generation", "")


def _is_closed(sock: socket.socket) -> bool:
    readable, _, _ = select.select([sock], [], [], 0)
    return bool(readable) and sock.recv(1, socket.MSG_PEEK) == b""


def _sleep_until(moment: float) -> None:
    while (left := moment - time.monotonic()) > 0:
        time.sleep(left)


def race(
    url: str,
    act: Callable[[], object],
    told: Callable[[], object],
    kinds: Sequence[Kind],
    *,
    offsets: Sequence[float] = OFFSETS,
    polite: bool = True,
    way: Way = NEAR,
) -> list[Result]:
    """Run `act` against open connections; what became of each, whatever kind of deploy `act` is.

    Args:
        url: the site's.
        act: makes the old workers leave.
        told: whether they have been told to; polled until it says so.
        kinds: the states that connections are brought into before the act; one of each for every offset.
        offsets: when they send, in seconds after the word to leave.
        polite: whether clients close their side when they have their answer.
        way: between the racers and the site.
    """
    racers = [Racer(kind, offset, url, polite, way) for kind, offset in itertools.product(kinds, offsets)]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(racers) + 1) as pool:
        for racer in racers:
            stack.enter_context(racer.stack)
            racer.prepare()
        gun = Gun()
        running = [pool.submit(racer.run, gun) for racer in racers]
        acting = pool.submit(act)
        held_up = max(gun.fire_when(told, acting), _held_up_until(running))
        results = [runner.result() for runner in running]
        acting.result()
    assert told(), "the act told nobody to leave"
    return [replace(result, held_up=held_up) for result in results]


def _held_up_until(running: Sequence[Future[Result]]) -> float:
    """How much too late, in seconds, a sleep ended at worst while racers were running."""
    worst = 0.0
    while not all(runner.done() for runner in running):
        began = time.monotonic()
        time.sleep(BEAT)
        worst = max(worst, time.monotonic() - began - BEAT)
    return worst


def wait_limit(import_seconds: float) -> float:
    """The longest wait, in seconds, that a deploy of an app with that import may cost a request."""
    return max(SHORTEST_LIMIT, import_seconds / 10)


def demand_every_answer(results: Sequence[Result], limit: float) -> None:
    """The assertion: nobody was lost, and nobody waited longer than `limit` seconds."""
    lost = [result for result in results if result.outcome == "lost"]
    assert not lost, f"lost {len(lost)} of {len(results)}: {lost[:5]}"
    slowest = max(results, key=lambda result: result.waited)
    assert slowest.waited <= limit, f"waited {slowest.waited:.3f} s, over the limit of {limit} s: {slowest}"


def unspoilt(run: Callable[[], Ran], lag: Callable[[Ran], float]) -> Ran:
    """The outcome of the first `run` that measured in time; a `run` itself demands what holds for any."""
    lags: list[float] = []
    while len(lags) < MOST_RUNS:
        ran = run()
        lags.append(lag(ran))
        if lags[-1] <= SPOILT_LAG:
            return ran
    raise AssertionError(f"spoilt {MOST_RUNS} times: this machine is too busy to judge waits; lags {lags} s")
