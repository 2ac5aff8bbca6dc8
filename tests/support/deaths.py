"""Who can die during a deploy, when, and what has to be true afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.apps import make_app
from tests.support.site import Site, configure, until
from tests.support.takeover import holders_of

from segue.core.record import Phase
from segue.disk.events import read_events
from segue.disk.processes import ProcessId, parent_of, process
from segue.run.counters import read_counts
from segue.run.generation import Generation

PHASES = ("build", "import", "boot", "ready", "switch", "watch", "commit", "drain", "prune")
BEFORE_GO = ("build", "import", "boot", "ready")
AFTER_COMMIT = ("drain", "prune")

IMPORT = 0.4  # boot and ready each last as long
WATCH = "800ms"
OUTLASTS_COMMIT = 4.0
END_TIMEOUT = 40.0


@dataclass(frozen=True)
class Row:
    """Who dies in which phase, and of which signal."""

    victim: str
    phase: str

    def __str__(self) -> str:
        return f"{self.victim}-{self.phase}"


@dataclass
class Deploy:
    """A deploy that somebody follows, as its events tell of it."""

    site: Site
    asker: subprocess.Popen[str]
    before: str
    known: int = field(default=0)

    def told(self) -> list[dict[str, Any]]:
        """The events of this deploy."""
        return list(read_events(self.site.home.events))[self.known :]

    @property
    def generation(self) -> str:
        """The generation that it brings in."""
        return str(until(self._begun, what="the deploy's beginning")["deploy"])

    def _begun(self) -> dict[str, Any] | None:
        return next((event for event in self.told() if event.get("event") == "begin"), None)

    def in_phase(self, phase: str) -> None:
        """Wait until it has come to `phase`."""
        until(lambda: ("step", phase) in self._came_to(), what=f"phase {phase}")

    def _came_to(self) -> list[tuple[str, str]]:
        return [(str(event.get("event")), str(event.get("name"))) for event in self.told()]

    def committed(self) -> bool:
        """Whether it was."""
        return self.site.home.read_record().live == self.generation


@contextlib.contextmanager
def deploying(site: Site, *words: str) -> Iterator[Deploy]:
    """A deploy whose phases are long enough to be met."""
    known, before = len(list(read_events(site.home.events))), site.home.read_record().live
    assert before is not None
    with site.ask(*(words or ("deploy", "--json"))) as asker:
        try:
            yield Deploy(site, asker, before, known)
        finally:
            if asker.poll() is None:
                asker.kill()


def workers_of(master: ProcessId | None) -> list[ProcessId]:
    """The worker processes of `master`."""
    if master is None:
        return []
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    found = [process(pid) for pid in pids if parent_of(pid) == master.pid]
    return [worker for worker in found if worker is not None]


def holder(generation: Generation) -> ProcessId:
    """The worker of `generation` that holds a request."""

    def holds(worker: ProcessId) -> bool:
        counts = read_counts(generation.folder / f"counters.{worker.pid}")
        return counts.started > counts.finished

    found: ProcessId = until(
        lambda: next(filter(holds, workers_of(generation.master())), None),
        what="a worker that holds a request",
    )
    return found


def _controller(deploy: Deploy) -> ProcessId:
    return deploy.site.controller()


def _asker(deploy: Deploy) -> ProcessId:
    found = process(deploy.asker.pid)
    assert found is not None
    return found


def _master(deploy: Deploy, generation: str) -> ProcessId:
    def running() -> ProcessId | None:
        if not deploy.site.home.generation(generation).exists():
            return None
        master = deploy.site.generation(generation).master()
        return master if master is not None and master.alive() else None

    found: ProcessId = until(running, what=f"the master of {generation}")
    return found


def _worker(deploy: Deploy, generation: str) -> ProcessId:
    found: ProcessId = until(
        lambda: workers_of(_master(deploy, generation))[-1:], what=f"a worker of {generation}"
    )[0]
    return found


VICTIMS: dict[str, Callable[[Deploy], ProcessId]] = {
    "asker": _asker,
    "ctrl_c": _asker,
    "controller": _controller,
    "candidate_master": lambda deploy: _master(deploy, deploy.generation),
    "candidate_worker": lambda deploy: _worker(deploy, deploy.generation),
    "live_master": lambda deploy: _master(deploy, deploy.before),
    "live_worker": lambda deploy: _worker(deploy, deploy.before),
}


def can_meet(row: Row) -> bool:
    """Whether there is such a process in that phase; after the drain there is no old generation any more."""
    if row.victim.startswith("candidate"):
        return row.phase not in ("build", "import")
    return not (row.victim.startswith("live") and row.phase == "prune")


ROWS = [row for victim in VICTIMS for phase in PHASES if can_meet(row := Row(victim, phase))]


def could_hold(row: Row, victim: ProcessId, *, threads: int) -> int:
    """How many requests die with `victim`: a sync worker holds one, a threaded one has its connections."""
    if not row.victim.endswith("_worker") or (row.victim.startswith("candidate") and row.phase in BEFORE_GO):
        return 0
    if threads == 1:
        return 1
    return sum(link.startswith("socket:") for link in _links(Path(f"/proc/{victim.pid}/fd")))


def _links(folder: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for link in folder.iterdir():
            with contextlib.suppress(OSError):
                yield os.readlink(link)


def verdicts(row: Row) -> set[bool]:
    """Whether the deploy may be committed, or not, after such a death."""
    if row.victim in ("asker", "live_worker", "live_master") or row.phase in AFTER_COMMIT:
        return {True}
    if row.phase == "commit" or (row.victim == "candidate_worker" and row.phase in BEFORE_GO):
        # gunicorn starts a worker again that died before it was ready
        return {True, False}
    return {False}


def exit_code(row: Row, *, committed: bool) -> int:
    """What the asker ends with."""
    if row.victim == "asker":
        return -signal.SIGKILL
    if committed:
        return 0
    return 130 if row.victim == "ctrl_c" else 1


def kill(row: Row, victim: ProcessId) -> None:
    """Kill it; Ctrl-C is but asked."""
    victim.signal(signal.SIGINT if row.victim == "ctrl_c" else signal.SIGKILL)


def long_phases(site: Site, **settings: Any) -> None:
    """The next deploy's phases last long enough to be met."""
    make_app(site.folder, version="next", import_seconds=IMPORT)
    configure(site.folder, **{"watch": WATCH, "workers": 2, **settings})


def no_phases(site: Site, **settings: Any) -> None:
    """The next deploy is as fast as can be."""
    make_app(site.folder, version="quick")
    configure(site.folder, **{"watch": "100ms", "workers": 2, **settings})


@contextlib.contextmanager
def in_flight(site: Site, seconds: float) -> Iterator[Future[str]]:
    """A request that takes `seconds`; what it was answered, or how it failed."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(fetch, f"{site.url}/slow?seconds={seconds}")


@contextlib.contextmanager
def held_by_live(deploy: Deploy, row: Row) -> Iterator[Future[str]]:
    """A request that the old generation holds, for as long as the drain where that is when somebody dies."""
    late = row.phase in AFTER_COMMIT
    if late:
        deploy.in_phase("ready")
    with in_flight(deploy.site, OUTLASTS_COMMIT if late else 1.0) as request:
        yield request


def fetch(url: str) -> str:
    """What `url` answers."""
    with urllib.request.urlopen(url, timeout=END_TIMEOUT) as answer:
        return str(answer.read().decode())


def answered(request: Future[str]) -> bool:
    """Whether it got its full answer."""
    try:
        return request.result(END_TIMEOUT) == "slept"
    except OSError:
        return False


def processes_in(folder: Path) -> dict[int, str]:
    """Every process that works in `folder`, whatever it is: its command line by its pid."""
    found = {}
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and Path(os.readlink(f"/proc/{name}/cwd")).is_relative_to(folder):
                words = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ")
                if words and process(int(name)) is not None:
                    found[int(name)] = words.decode(errors="replace").strip()
    return found


def strangers(site: Site) -> dict[int, str]:
    """The project's processes that should not be there when it is at rest."""
    keeper = {site.process.pid, site.controller().pid}
    live = site.live().master()
    ours = keeper | {worker.pid for worker in workers_of(live)} | {live.pid if live else 0}
    holders = holders_of(site.live())
    ours |= {holder.pid for holder in holders if len(holders) == 1}
    return {pid: words for pid, words in processes_in(site.folder).items() if pid not in ours}


def history(site: Site) -> dict[str, dict[str, Any]]:
    """What `segue history` tells of each generation."""
    receipts = json.loads(site.segue("history", "--json").out)
    return {receipt["generation"]: receipt for receipt in receipts}


def demand_rest(site: Site) -> None:
    """Without another command: one consistent state, and nobody about who does not belong to it."""
    until(site.at_rest, END_TIMEOUT, what=f"rest\n{site.home.read_record()}\n{site.keeper_log()[-3000:]}")
    until(lambda: not strangers(site), END_TIMEOUT, what=f"the end of {strangers(site)}")
    assert site.at_rest()


def demand_nothing_left(site: Site) -> None:
    """After the keeper has left: no process of the project's, and a record that says so."""
    until(lambda: not processes_in(site.folder), END_TIMEOUT, what=f"the end of {processes_in(site.folder)}")
    record = site.home.read_record()
    assert (record.live, record.candidate, record.phase) == (None, None, Phase.REST)


def kill_controller(site: Site) -> None:
    """Kill it, and wait until its successor has said so."""
    controller = site.controller()
    assert controller.signal(signal.SIGKILL)
    until(lambda: site.controller() != controller, what="the successor")
