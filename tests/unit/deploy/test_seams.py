"""The clock's contract: the real one and the one that jumps."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.support.in_memory import JumpClock

from segue.deploy.clock import SystemClock
from segue.deploy.seams import Clock


@pytest.fixture(params=[SystemClock, JumpClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def test_sleeping_passes_at_least_that_time(clock: Clock) -> None:
    before = clock.monotonic()
    asyncio.run(clock.sleep(0.02))
    assert clock.monotonic() - before >= 0.0199


def test_time_never_runs_backwards(clock: Clock) -> None:
    before, then = clock.monotonic(), clock.now()
    asyncio.run(clock.sleep(0))
    asyncio.run(clock.sleep(-1))
    assert clock.monotonic() >= before
    assert clock.now() >= then


def test_now_is_seconds_since_the_epoch(clock: Clock) -> None:
    assert 1_700_000_000 < clock.now() < 4_000_000_000


def test_a_jump_takes_no_time() -> None:
    clock, began = JumpClock(), time.monotonic()
    asyncio.run(clock.sleep(86400))
    assert clock.monotonic() == 86400
    assert time.monotonic() - began < 1
