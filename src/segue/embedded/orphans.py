"""Who outlived a master: workers, which serve until they notice, and whatever the app started beside them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from segue.core.errors import Stranded
from segue.disk.processes import ProcessId, in_sessions, marked
from segue.run.generation import MARK, Generation


def orphans_of(generation: Generation) -> list[ProcessId]:
    """The processes of `generation` whose master is gone."""
    masters = [*generation.earlier_masters(), generation.master()]
    gone = {
        master.pid
        for master in masters
        if master is not None and not master.alive() and _has_group(master.pid)
    }
    if not gone:
        return []
    return [process for process in in_sessions(gone) if _is_of(process.pid, generation)]


def leftovers_of(generation: Generation) -> list[ProcessId]:
    """What `generation` started and left behind, once it has no master: daemons in sessions of their own too.

    A server ends a whole cgroup with its service; here the environment tells who belongs together.
    """
    found = {*orphans_of(generation), *marked(MARK, str(generation.folder))}
    return sorted(found, key=lambda process: process.started)


def _has_group(pid: int) -> bool:
    """Whether a group of that number is there; a look at all of /proc only pays where it is."""
    try:
        os.killpg(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _is_of(pid: int, generation: Generation) -> bool:
    """Whether process `pid` is `generation`'s: its session's number may have been given away again since.

    An app server that sets its title overwrites the environment that it started with, but not where it works.
    """
    word = f"SEGUE_GENERATION={generation.name}".encode()
    try:
        with contextlib.suppress(Stranded):
            if os.readlink(f"/proc/{pid}/cwd") == generation.start()["root"]:
                return True
        return word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
