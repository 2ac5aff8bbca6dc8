"""Waiting until a generation is ready, or until it is known that it never will be."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from segue.run.generation import Generation
from segue.run.trouble import trouble_of

POLL = 0.03
# a worker that hangs prints its stack when its time is up; this is for it to do so
STACK_GRACE = 1.0


async def until_ready(generation: Generation, workers: int | None) -> None:
    """Wait until `workers` of its workers are ready; None for as many as its config asks for.

    Raises:
        Failed: they will not be.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + generation.start()["ready_timeout"] + STACK_GRACE
    while True:
        booted = generation.booted()
        goal = workers or (booted["workers"] if booted else None)
        if goal is not None and len(generation.ready_workers()) >= goal:
            return
        trouble = trouble_of(generation, late=loop.time() > deadline)
        if trouble is not None:
            raise trouble
        await asyncio.sleep(POLL)


async def until_listening(generation: Generation, path: Path) -> None:
    """Wait until its server, which runs without the gate, takes connections on its own socket at `path`.

    Raises:
        Failed: it will not.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + generation.start()["ready_timeout"]
    while not _listens(path):
        trouble = trouble_of(generation, late=loop.time() > deadline)
        if trouble is not None:
            raise trouble
        await asyncio.sleep(POLL)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True
