"""What has to be true after a reload, each told apart: who serves, by which code, and what users got."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segue.core.errors import Failed, Refused
from segue.disk.processes import ProcessId
from segue.proof.ask import ask
from segue.reload.judge import changed_since
from segue.reload.listening import accepts
from segue.reload.look import Looked, Service
from segue.reload.master import begun
from segue.reload.roll import Roll
from segue.reload.shadow import FIRST_BAD_STATUS, Booted
from segue.reload.unit import read_unit

_ANSWERS = 5
_ASK_TIMEOUT = 30.0
_MOST_SHOWN = 5
_ACCEPT_TIMEOUT = 10.0
_POLL = 0.02


@dataclass
class Proof:
    """What was seen.

    Attributes:
        workers: the pids that serve; all of them began after the reload did.
        gone: how many old ones left.
        folder: where the new ones are.
        files: how many files of the app's each of them loaded, as the shadow did; none was changed since.
        mapped: how many files of the app's folder they have mapped; none of them was replaced.
        answers: how many answers were asked for where users come in.
        master: the master, the same as before.
        complaints: what nginx logged meanwhile.
        notes: what people should know of it.
    """

    workers: list[int]
    gone: int
    folder: str
    files: int
    mapped: int
    answers: int
    master: int
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """It, for machines."""
        return asdict(self)

    def describe(self) -> str:
        """It in a line, for people."""
        return (
            f"{len(self.workers)} new workers accept, {self.gone} old ones are gone, the master is the same"
        )


async def prove(looked: Looked, roll: Roll, booted: Booted, url: str) -> Proof:
    """See that the reload did what it says.

    Raises:
        Failed: it did not.
    """
    service, workers = looked.service, await _accepting(roll)
    _demand_same_master(looked)
    first = min(begun(worker) for worker in workers)
    own = sorted({file for file in booted.loaded.values() if not _is_library(file)})
    _demand_unchanged(own, first)
    folders = {os.readlink(f"/proc/{worker.pid}/cwd") for worker in workers}
    mapped = [file for worker in workers for file in _mapped(worker, own)]
    if gone := [file for file in mapped if file.endswith(" (deleted)")]:
        raise _unproved("A new worker has files mapped that were replaced.", "\n".join(gone[:_MOST_SHOWN]))
    for _ in range(_ANSWERS):
        await _demand_answer(url, str(service.door.connect))
    return Proof(
        workers=sorted(worker.pid for worker in workers),
        gone=len(roll.old),
        folder=", ".join(sorted(folders)),
        files=len(own),
        mapped=len(mapped),
        answers=_ANSWERS,
        master=service.master.pid,
        notes=list(_notes(looked, folders)),
    )


async def demand_door(service: Service, url: str, headers: tuple[tuple[str, str], ...], own_url: str) -> None:
    """Demand that it is the service which answers where users come in: else nothing could be proved there.

    An old code that answers its check badly is none of the door's: then the service says the same itself.

    Args:
        service: the service.
        url: what users ask for.
        headers: what nginx tells the service of them.
        own_url: the same as the service is asked for it.

    Raises:
        Refused: it is not, as far as can be seen.
    """
    door = await _status(url, str(service.door.connect))
    if isinstance(door, int) and door < FIRST_BAD_STATUS:
        return
    own = [await _status(own_url, str(address), headers) for address in service.addresses]
    if isinstance(door, int) and door in own:
        return
    answers = f"{_told(door)}\nthe service itself: {', '.join(map(_told, own))}"
    raise Refused(
        "door",
        "Users are not answered well where segue would ask for them, so nothing could be proved there.",
        evidence=f"GET {url} at {service.door.connect}\n{answers}",
        hint="--check names a path that anybody is answered well, --check-host what the site is called",
    )


async def _status(url: str, connect: str, headers: tuple[tuple[str, str], ...] = ()) -> int | str:
    """The status of the answer, else why there was none."""
    try:
        async with asyncio.timeout(_ASK_TIMEOUT):
            return (await ask(url, connect, headers)).status
    except OSError as error:
        return str(error) or "no answer in time"


def _told(status: int | str) -> str:
    return f"answer: {status}" if isinstance(status, int) else status


async def _accepting(roll: Roll) -> frozenset[ProcessId]:
    loop = asyncio.get_running_loop()
    deadline, seen = loop.time() + _ACCEPT_TIMEOUT, set[ProcessId]()
    while True:
        workers = roll.service.master.workers()
        seen.update(worker for worker in workers if accepts(worker.pid, roll.service.listeners))
        if workers and not workers & roll.old and len(workers) == roll.count and workers <= seen:
            return workers
        if loop.time() > deadline:
            left = workers & roll.old
            accept = len(workers & seen)
            told = f"{len(workers)} workers of {roll.count}, {len(left)} of them old, {accept} accept"
            raise _unproved("The workers are not those that they should be.", told)
        await asyncio.sleep(_POLL)


def _demand_same_master(looked: Looked) -> None:
    before, now = looked.service.unit.told, read_unit(looked.service.unit.name).told
    for name in ("MainPID", "NRestarts"):
        if before[name] != now[name]:
            raise _unproved(
                "The service was started anew meanwhile.", f"{name} was {before[name]}, and is {now[name]}"
            )


def _demand_unchanged(files: list[str], since: float) -> None:
    changed = [file for file in files if changed_since(Path(file), since)]
    if changed:
        message = "The code was changed while its workers were replaced: they may differ."
        raise _unproved(message, "\n".join(changed[:_MOST_SHOWN]))


def _is_library(file: str) -> bool:
    return not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts) or "/lib/python3" in file


def _mapped(worker: ProcessId, own: list[str]) -> Iterator[str]:
    """What it has mapped of the folders that the app's code is in."""
    folders = tuple({f"{Path(file).parent}/" for file in own})
    try:
        lines = Path(f"/proc/{worker.pid}/maps").read_text(errors="replace").splitlines()
    except OSError:
        return
    paths = {line.split(maxsplit=5)[5] for line in lines if len(line.split(maxsplit=5)) > 5}  # noqa: PLR2004
    yield from (path for path in paths if path.startswith(folders))


async def _demand_answer(url: str, connect: str) -> None:
    status = await _status(url, connect)
    if not isinstance(status, int):
        raise _unproved("Users are not answered.", f"GET {url}\n{status}")
    if status >= FIRST_BAD_STATUS:
        raise _unproved("Users are not answered as they should be.", f"GET {url}\n{_told(status)}")


def _notes(looked: Looked, folders: set[str]) -> Iterator[str]:
    if folders != {looked.wanted}:
        where = ", ".join(sorted(folders))
        yield f"the workers' folder stays {where} until a restart, wherever their code comes from: keep it"


def _unproved(message: str, evidence: str) -> Failed:
    return Failed("unproved", message, evidence=evidence, hint="the new workers serve; look at them now")
