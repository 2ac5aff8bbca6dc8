"""A deploy that can be met in each of its phases, and what has to be true after whatever befell it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
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
AFTER_COMMIT = ("drain", "prune")

IMPORT = 0.4  # boot and ready each last as long
WATCH = "800ms"
OUTLASTS_COMMIT = 6.0
END_TIMEOUT = 60.0
SERVES = {True: "committed: the new release serves", False: "taken back: the old release serves"}


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
        until(lambda: ("step", phase) in self._came_to(), END_TIMEOUT, what=f"phase {phase}")

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
    return [child for child in _children_of(master) if not _is_tracker(child)]


def _children_of(master: ProcessId | None) -> list[ProcessId]:
    if master is None:
        return []
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    found = [process(pid) for pid in pids if parent_of(pid) == master.pid]
    return [child for child in found if child is not None]


def _is_tracker(child: ProcessId) -> bool:
    """Whether it is no worker: multiprocessing has one such process, which ends with the last worker."""
    with contextlib.suppress(OSError):
        return b"resource_tracker" in Path(f"/proc/{child.pid}/cmdline").read_bytes()
    return False


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
def held_by_live(deploy: Deploy, phase: str) -> Iterator[Future[str]]:
    """A request that the old generation holds, for as long as the drain where `phase` is that late."""
    late = phase in AFTER_COMMIT
    if late:
        deploy.in_phase("ready")
    with in_flight(deploy.site, OUTLASTS_COMMIT if late else 1.0) as request:
        yield request


def fetch(url: str) -> str:
    """What `url` answers."""
    with urllib.request.urlopen(url, timeout=END_TIMEOUT) as answer:
        return str(answer.read().decode())


def fate(request: Future[str]) -> str:
    """What it was answered, or how it failed."""
    try:
        return request.result(END_TIMEOUT)
    except (OSError, HTTPException) as error:
        return repr(error)


def answered(request: Future[str]) -> bool:
    """Whether it got its full answer."""
    return fate(request) == "slept"


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
    ours = keeper | {child.pid for child in _children_of(live)} | {live.pid if live else 0}
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
    # looked at again, for while strangers were looked for `up --watch` may have begun another deploy
    until(
        lambda: not strangers(site) and site.at_rest(),
        END_TIMEOUT,
        what=f"the end of {strangers(site)}",
    )


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
