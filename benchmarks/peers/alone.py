"""App servers started by their own command lines, and deployed by their own signals."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tests.support.nginx import free_port
from tests.support.site import until

from benchmarks.peers.asking import TICK, version_at
from benchmarks.peers.place import HOST, KEPT, SYNC_WORKERS, THREADS, WORKERS, Place
from segue.disk.processes import in_sessions

START_TIMEOUT = 60.0
STOP_TIMEOUT = 60.0
BOOT_TIMEOUT = 10.0

_KEEP = f"--keep-alive={KEPT}"
_GUNICORN = (
    "-m",
    "gunicorn",
    "--no-control-socket",
    "--bind={host}:{port}",
    "--pid={root}/{port}.pid",
    _KEEP,
)
SYNC = (*_GUNICORN, f"--workers={SYNC_WORKERS}", "wsgi:app")
GTHREAD = (*_GUNICORN, f"--workers={WORKERS}", f"--threads={THREADS}", "wsgi:app")
PRELOADED = (*GTHREAD[:-1], "--preload", "wsgi:app")
UVICORN = (
    *("-m", "uvicorn", "--host={host}", "--port={port}", f"--workers={WORKERS}"),
    *(f"--timeout-keep-alive={KEPT}", "--no-access-log", "wsgi:app"),
)
GRANIAN = (
    *("-m", "granian", "--interface=asgi", "--host={host}", "--port={port}"),
    *(f"--workers={WORKERS}", "wsgi:app"),
)
HYPERCORN = ("-m", "hypercorn", "--bind={host}:{port}", f"--workers={WORKERS}", _KEEP, "wsgi:app")
UWSGI = (
    *("--http-socket={host}:{port}", "--module=wsgi:app", "--master", "--lazy-apps", "--need-app"),
    *(f"--processes={WORKERS}", f"--threads={THREADS}", "--master-fifo={root}/fifo", "--die-on-term"),
)

Way = Literal["restart", "hup", "usr2", "chain"]


def forked(workers: int) -> str:
    """What Gunicorn's log says at HUP once it has forked `workers`: in the same breath the old ones leave."""
    return "Booting worker.*" * workers


@dataclass
class Server:
    """One app server on a port of its own.

    Attributes:
        words: its command line behind the interpreter, or behind its `program`.
        program: what of the interpreter's folder is run; empty for the interpreter.
    """

    place: Place
    words: tuple[str, ...]
    program: str = ""
    port: int = field(default_factory=free_port)
    sessions: set[int] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it."""
        words = [word.format(host=HOST, port=self.port, root=self.place.root) for word in self.words]
        program = self.place.python.with_name(self.program) if self.program else self.place.python
        with self.place.log.open("ab") as log:
            self.process = subprocess.Popen(
                (program, *words), cwd=self.place.app, stdout=log, stderr=log, start_new_session=True
            )
        self.sessions.add(self.process.pid)

    def processes(self) -> list[int]:
        """All of its sessions."""
        return [process.pid for process in in_sessions(self.sessions)]

    def end(self) -> None:
        """End all of it at once."""
        for session in self.sessions:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(session, signal.SIGKILL)
        self.process.wait(STOP_TIMEOUT)
        until(lambda: not self.processes(), STOP_TIMEOUT, "the end of all processes")


@dataclass
class Alone(Server):
    """One that is deployed by signals.

    Attributes:
        way: which.
        leaving: what its log says once the old workers are told to leave; empty where the command tells them.
    """

    way: Way = "restart"
    leaving: str = ""
    told: bool = False
    said: int = 0

    def deploy(self, version: str) -> None:
        """Do what its way demands."""
        self.told, self.said = False, self.place.log.stat().st_size
        match self.way:
            case "restart":
                self._restart()
            case "hup":
                self.process.send_signal(signal.SIGHUP)
                self.told = not self.leaving
            case "usr2":
                self._upgrade(version)
            case "chain":
                (self.place.root / "fifo").write_text("c")

    def _restart(self) -> None:
        self.process.terminate()
        self.told = True
        self.process.wait(STOP_TIMEOUT)
        self.start()

    def _upgrade(self, version: str) -> None:
        """A second master; once the new release answers, the first one is told to leave."""
        old = until(self._master, what="a pid")
        os.kill(old, signal.SIGUSR2)
        deadline = time.monotonic() + BOOT_TIMEOUT
        while version_at(self.url) != version:
            if time.monotonic() > deadline:
                return  # an operator sees that nothing came up, and leaves the old master alone
            time.sleep(TICK)
        os.kill(old, signal.SIGTERM)
        self.told = True
        until(lambda: self._master() not in (None, old), STOP_TIMEOUT, "the new master alone")

    def _master(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):  # it is renamed when the first master ends
            return int((self.place.root / f"{self.port}.pid").read_text())
        return None

    def is_leaving(self) -> bool:
        """By its log, or because the command said so."""
        if not self.leaving:
            return self.told
        said = self.place.log.read_bytes()[self.said :].decode(errors="replace")
        return re.search(self.leaving, said, re.DOTALL) is not None


@contextlib.contextmanager
def serving(server: Alone) -> Iterator[Alone]:
    """`server` serves until the block ends."""
    server.start()
    try:
        until(lambda: version_at(server.url), START_TIMEOUT, "the first answer")
        yield server
    finally:
        server.end()
