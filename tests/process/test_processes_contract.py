"""One contract for both forms of `Processes`: in memory, and Gunicorn masters on a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from tests.support import masters
from tests.support.apps import make_app
from tests.support.in_memory import Machine
from tests.support.site import until

from segue.core.address import parse_address
from segue.core.errors import Failed, Refused
from segue.core.record import Phase, Record
from segue.deploy.apply import apply_record
from segue.deploy.converge import Standing
from segue.deploy.seams import Processes
from segue.disk.processes import process
from segue.embedded.listener import bind_listener
from segue.embedded.masters import Masters

OLD, NEW, BROKEN = (f"{masters.RELEASE}.{number}" for number in (1, 2, 3))
HELD, SERVING, LEAVING = Standing.HELD, Standing.SERVING, Standing.LEAVING

do = asyncio.run


class Bench(Protocol):
    """A form of `Processes`, and what a test does to its generations behind its back."""

    @property
    def processes(self) -> Processes: ...

    def crash(self, generation: str) -> None: ...

    def begin_to_leave(self, generation: str) -> None: ...

    def let_no_more_boot(self) -> None: ...


@dataclass
class InMemory:
    processes: Machine = field(default_factory=lambda: Machine(broken={BROKEN}))

    def crash(self, generation: str) -> None:
        self.processes.crash(generation)

    def begin_to_leave(self, generation: str) -> None:
        self.processes.standing[generation] = LEAVING

    def let_no_more_boot(self) -> None:
        self.processes.most = 2


@pytest.fixture
def real(tmp_path: Path) -> Iterator[masters.Bench]:
    make_app(tmp_path, version="v1")
    with masters.bench(tmp_path) as bench:
        for name, module in ((OLD, "wsgi:app"), (NEW, "wsgi:app"), (BROKEN, "missing:app")):
            bench.prepare(name, module, workers=2, ready_timeout="10s")
        yield bench


@pytest.fixture(params=["in memory", "real"])
def bench(request: pytest.FixtureRequest) -> Bench:
    made: Bench = InMemory() if request.param == "in memory" else request.getfixturevalue("real")
    return made


@pytest.fixture
def processes(bench: Bench) -> Processes:
    return bench.processes


def start(processes: Processes, *generations: str) -> None:
    """Start each, and wait until all its workers are ready."""
    for name in generations:
        do(processes.spawn(name))
        do(processes.first_ready(name))
        do(processes.all_ready(name))


def serve(processes: Processes, *generations: str) -> None:
    """Start each, and let it go."""
    start(processes, *generations)
    for name in generations:
        processes.go(name)


def test_what_was_not_started_is_not_there(processes: Processes) -> None:
    assert processes.observe() == {}


def test_what_was_started_holds_until_it_is_told_to_go(processes: Processes) -> None:
    start(processes, NEW)
    assert processes.observe() == {NEW: HELD}
    for _ in range(2):
        processes.go(NEW)
        assert processes.observe() == {NEW: SERVING}


def test_starting_what_runs_changes_nothing(processes: Processes) -> None:
    start(processes, NEW)
    start(processes, NEW)
    assert processes.observe() == {NEW: HELD}
    processes.go(NEW)
    start(processes, NEW)
    assert processes.observe() == {NEW: SERVING}


def test_what_is_discarded_is_gone_and_the_others_stay(processes: Processes) -> None:
    serve(processes, OLD)
    start(processes, NEW)
    for _ in range(2):
        do(processes.discard(NEW))
        assert processes.observe() == {OLD: SERVING}


def test_what_is_drained_is_gone_and_the_others_stay(processes: Processes) -> None:
    serve(processes, OLD, NEW)
    for _ in range(2):
        do(processes.drain(OLD))
        assert processes.observe() == {NEW: SERVING}


def test_what_was_discarded_holds_when_it_is_started_again(processes: Processes) -> None:
    start(processes, NEW)
    do(processes.discard(NEW))
    start(processes, NEW)
    assert processes.observe() == {NEW: HELD}


@pytest.mark.parametrize("told_to_go", [False, True])
def test_a_crash_is_seen_and_go_outlives_it(bench: Bench, told_to_go: bool) -> None:
    start(bench.processes, NEW)
    if told_to_go:
        bench.processes.go(NEW)
    bench.crash(NEW)
    assert bench.processes.observe() == {}
    start(bench.processes, NEW)
    assert bench.processes.observe() == {NEW: SERVING if told_to_go else HELD}


def test_what_begins_to_leave_can_be_started_again(bench: Bench) -> None:
    serve(bench.processes, NEW)
    bench.begin_to_leave(NEW)
    assert bench.processes.observe() == {NEW: LEAVING}
    start(bench.processes, NEW)
    assert bench.processes.observe() == {NEW: SERVING}


def test_what_cannot_get_ready_says_so_and_can_be_taken_away(processes: Processes) -> None:
    do(processes.spawn(BROKEN))
    with pytest.raises(Failed):
        do(processes.first_ready(BROKEN))
    with pytest.raises(Failed):
        do(processes.all_ready(BROKEN))
    do(processes.discard(BROKEN))
    assert processes.observe() == {}


@pytest.mark.parametrize("number", [1, 2, 4])
def test_as_many_workers_as_it_was_scaled_to_also_after_a_crash(bench: Bench, number: int) -> None:
    serve(bench.processes, NEW)
    assert bench.processes.workers(NEW) == 2
    for _ in range(2):
        assert do(bench.processes.scale(NEW, number)) == 0
        assert bench.processes.workers(NEW) == number
    bench.crash(NEW)
    assert bench.processes.workers(NEW) == 0
    start(bench.processes, NEW)
    assert bench.processes.workers(NEW) == number


def test_workers_that_do_not_boot_leave_as_many_as_before(bench: Bench) -> None:
    serve(bench.processes, NEW)
    bench.let_no_more_boot()
    with pytest.raises(Failed):
        do(bench.processes.scale(NEW, 4))
    assert bench.processes.workers(NEW) == 2
    do(bench.processes.finish_scaling(NEW))
    assert bench.processes.workers(NEW) == 2


def test_a_record_is_applied_from_the_switch_to_the_end(processes: Processes) -> None:
    record = Record(live=OLD)
    do(apply_record(record, processes))
    record = record.begin(NEW)
    for phase, standing in ((Phase.BOOT, HELD), (Phase.SWITCH, SERVING), (Phase.WATCH, SERVING)):
        record = record.at(phase)
        do(apply_record(record, processes))
        assert processes.observe() == {OLD: SERVING, NEW: standing}
    do(apply_record(record.commit(), processes))
    assert processes.observe() == {NEW: SERVING}


def test_where_live_cannot_be_started_what_serves_is_not_taken_away(processes: Processes) -> None:
    serve(processes, OLD)
    with pytest.raises(Failed):
        do(apply_record(Record(live=BROKEN), processes))
    assert processes.observe()[OLD] is SERVING


# what only processes have


def test_a_second_start_is_the_same_process(real: masters.Bench) -> None:
    start(real.processes, NEW)
    master = real.master(NEW)
    start(real.processes, NEW)
    assert real.master(NEW) == master


def test_starting_what_leaves_does_not_leave_the_leaving_one_behind(real: masters.Bench) -> None:
    serve(real.processes, NEW)
    leaving = real.master(NEW)
    real.begin_to_leave(NEW)
    start(real.processes, NEW)
    assert real.master(NEW) != leaving
    until(lambda: not leaving.alive(), what="the end of the leaving master")


def test_a_master_that_does_not_listen_is_killed_at_its_deadline(real: masters.Bench) -> None:
    start(real.processes, NEW)
    real.master(NEW).signal(signal.SIGSTOP)
    do(real.processes.discard(NEW))
    assert real.processes.observe() == {}


def test_a_successor_finds_the_masters_of_its_predecessor(real: masters.Bench) -> None:
    serve(real.processes, OLD)
    start(real.processes, NEW)
    with bind_listener(parse_address("127.0.0.1:0")) as listener:
        successor = Masters(real.home, listener.fileno(), os.environ)
        assert successor.observe() == {OLD: SERVING, NEW: HELD}


def test_a_server_that_knows_neither_signal_gets_none(real: masters.Bench) -> None:
    serve(real.processes, NEW)
    master = real.processes.generation(NEW).folder / "master.json"
    known = master.read_text()
    with subprocess.Popen(("sleep", "60")) as sleeper:
        ignorant = process(sleeper.pid)
        assert ignorant is not None
        master.write_text(json.dumps({"pid": ignorant.pid, "started": ignorant.started}))
        with pytest.raises(Refused, match="can't change the number"):
            do(real.processes.scale(NEW, 3))
        assert ignorant.alive()
        sleeper.kill()
    master.write_text(known)
