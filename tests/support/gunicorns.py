"""A plain Gunicorn, as somebody's unit starts it, but without the unit: for what its signals do."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.apps import make_app
from tests.support.site import until

from segue.core.address import Address
from segue.reload.door import Door
from segue.reload.listening import accepts, listeners
from segue.reload.look import Service
from segue.reload.master import Command, read_master
from segue.reload.unit import Unit

START_TIMEOUT = 30.0


@dataclass
class Gunicorn:
    """One that runs; `folder` has its app."""

    folder: Path
    process: subprocess.Popen[bytes]
    socket: Path

    def service(self) -> Service:
        """It, as a reload looks at it."""
        master = read_master(self.process.pid, ())
        return Service(
            unit=Unit("shop.service", {}, ()),
            master=master,
            command=Command(master.argv[:1], "", ()),
            workers=master.workers(),
            listeners=listeners(master.pid),
            door=Door("localhost", Address(path=str(self.socket))),
            environ={},
        )

    def accepting(self) -> bool:
        """Whether it has workers, and all of them accept."""
        workers = self.service().workers
        return bool(workers) and all(accepts(worker.pid, self.service().listeners) for worker in workers)


@contextlib.contextmanager
def gunicorn(folder: Path, *arguments: str, workers: int = 2) -> Iterator[Gunicorn]:
    """One that serves version `v1`."""
    app = folder / "app"
    make_app(app, version="v1")
    socket = folder / "s"
    argv = (
        sys.executable,
        "-m",
        "gunicorn",
        "--no-control-socket",
        f"--bind=unix:{socket}",
        f"--workers={workers}",
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            (*argv, *arguments, "wsgi:app"), cwd=app, stdout=log, stderr=log, start_new_session=True
        )
    try:
        made = Gunicorn(app, process, socket)
        until(lambda: socket.exists() and made.accepting(), START_TIMEOUT, "accepting")
        yield made
    finally:
        process.terminate()
        process.wait(60)  # twice the time that it gives to workers that hang
