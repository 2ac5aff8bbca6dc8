"""Who can die during a deploy, when, and what may come of it: the table of deaths."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.apps import make_app
from tests.support.deaths import AFTER_COMMIT, PHASES, Deploy, workers_of
from tests.support.leaving import PATIENT
from tests.support.site import Site, configure, serving, until
from tests.support.table import SERVERS

from segue.disk.processes import ProcessId, process

BEFORE_GO = ("build", "import", "boot", "ready")
FROM_SWITCH = ("switch", "watch", "commit", "drain")
# each of these is killed in every phase; the others from the switch on, where they differ
WHOLE = ("sync", "uvicorn")
LATE = ("gthread", "gevent", "asgi", "uvicorn-worker")


@dataclass(frozen=True)
class Row:
    """Whose processes they are, who of them dies, and in which phase."""

    server: str
    victim: str
    phase: str

    def __str__(self) -> str:
        return f"{self.server}-{self.victim}-{self.phase}"


def settings(server: str) -> dict[str, Any]:
    """How `server` is run here: two workers; a watch that is longer than a master takes to miss one."""
    longer = {} if server == "sync" else {"linger": "1s"}
    if server == "uvicorn":
        longer["watch"] = "2s"
    return {**SERVERS[server].race, "workers": 2, **longer}


@contextlib.contextmanager
def served(folder: Path, server: str) -> Iterator[Site]:
    """A project that is served like that."""
    make_app(folder, version="quick", interface=SERVERS[server].interface)
    (folder / "gunicorn.conf.py").write_text(PATIENT)
    configure(folder, **settings(server))
    with serving(folder) as site:
        yield site


def _asker(deploy: Deploy) -> ProcessId:
    return _needed(process(deploy.asker.pid))


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
    "controller": lambda deploy: deploy.site.controller(),
    "candidate_master": lambda deploy: _master(deploy, deploy.generation),
    "candidate_worker": lambda deploy: _worker(deploy, deploy.generation),
    "live_master": lambda deploy: _master(deploy, deploy.before),
    "live_worker": lambda deploy: _worker(deploy, deploy.before),
}


AT_REST: dict[str, Callable[[Site], ProcessId]] = {
    "live_master": lambda site: _needed(site.live().master()),
    "controller": lambda site: site.controller(),
    "live_worker": lambda site: workers_of(site.live().master())[-1],
}


def _needed(found: ProcessId | None) -> ProcessId:
    assert found is not None
    return found


def can_meet(row: Row) -> bool:
    """Whether there is such a process in that phase; after the drain there is no old generation any more."""
    if row.victim.startswith("candidate"):
        return row.phase not in ("build", "import")
    return not (row.victim.startswith("live") and row.phase == "prune")


def rows(servers: tuple[str, ...], phases: tuple[str, ...]) -> list[Row]:
    """Everybody's death in each of `phases`."""
    found = [Row(server, victim, phase) for server in servers for victim in VICTIMS for phase in phases]
    return list(filter(can_meet, found))


ROWS_AT_REST = [Row(server, victim, "rest") for server in (*WHOLE, *LATE) for victim in AT_REST]
ROWS = [*rows(WHOLE, PHASES), *rows(LATE, FROM_SWITCH)]


def could_hold(row: Row, victim: ProcessId) -> int:
    """How many requests die with `victim`: a sync worker holds one, any other has its connections."""
    if not row.victim.endswith("_worker") or (row.victim.startswith("candidate") and row.phase in BEFORE_GO):
        return 0
    if row.server == "sync":
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
        # its master starts a worker again that died before it was ready
        return {True, False}
    return {False}


def longer(row: Row) -> dict[str, Any]:
    """What keeps the deploy in its watch until such a death has been noticed, however busy the machine is."""
    return {"watch": "15s"} if row.phase == "watch" and verdicts(row) == {False} else {}


def exit_code(row: Row, *, committed: bool) -> int:
    """What the asker ends with."""
    if row.victim == "asker":
        return -signal.SIGKILL
    if committed:
        return 0
    return 130 if row.victim == "ctrl_c" else 1


def deed(row: Row) -> str:
    """What is done, in words."""
    return "Ctrl-C" if row.victim == "ctrl_c" else f"kill -9: {row.victim.replace('_', ' ')}"


def kill(row: Row, victim: ProcessId) -> None:
    """Kill it; Ctrl-C is but asked."""
    victim.signal(signal.SIGINT if row.victim == "ctrl_c" else signal.SIGKILL)
