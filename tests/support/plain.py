"""Gunicorn or Uvicorn alone, deployed as people do without segue: what has to turn our assertions red."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.site import until
from tests.support.way import NEAR, Way

ACT_TIMEOUT = 60.0
LOOK_TIMEOUT = 1.0
ANSWER_TIMEOUT = 60.0


@dataclass
class Plain:
    """A plain Gunicorn bound to a port of its own: what segue has to be better than."""

    folder: Path
    log: Path
    workers: int
    threads: int
    way: Way
    port: int = 0

    def start(self) -> None:
        """Start it, and wait until it answers."""
        size = (
            f"--workers={self.workers}",
            f"--threads={self.threads}",
            f"--bind={self.way.host}:{self.port}",
        )
        # the script, as guides have it: what USR2 starts by `-m` has Gunicorn's own folder first on its path
        program = str(Path(sys.executable).with_name("gunicorn"))
        argv = (*self.way.server, program, "--no-control-socket", *size, "wsgi:app")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                argv, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        listening = re.compile(
            rf"\[{self.process.pid}\] .* Listening at: http://{re.escape(self.way.host)}:(\d+)"
        )
        self.port = int(until(lambda: listening.search(self.log.read_text()), what="listening")[1])
        self.first_version = self.version()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.way.host}:{self.port}"

    def version(self, timeout: float = ANSWER_TIMEOUT) -> str:
        """The version that answers now."""
        with self.way.get(self.url, timeout) as response:
            return response.read().decode()

    def is_stopping(self) -> bool:
        """Whether it has been told to stop."""
        return "Handling signal: term" in self.log.read_text()

    def is_replacing(self) -> bool:
        """Whether HUP has started all new workers: in the same breath the old ones are told to leave."""
        booted = self.log.read_text().count("Booting worker")
        return booted >= 2 * self.workers or self.process.poll() is not None

    def restart(self) -> None:
        """The naive way: stop, then start."""
        self.stop()
        self.start()

    def hup(self) -> None:
        """The way of most guides: HUP, until the new code answers or the master is dead."""
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.process.poll() is not None or self._is_reloaded(), ACT_TIMEOUT, "the reload")

    def _is_reloaded(self) -> bool:
        with contextlib.suppress(OSError):
            return self.version(LOOK_TIMEOUT) != self.first_version
        return False

    def stop(self) -> None:
        """End it in order."""
        self.process.terminate()
        self.process.wait(ACT_TIMEOUT)


@contextlib.contextmanager
def plain_gunicorn(folder: Path, *, workers: int, threads: int, way: Way = NEAR) -> Iterator[Plain]:
    """The project in `folder`, served by Gunicorn alone."""
    plain = Plain(folder, folder.parent / f"{folder.name}.plain.log", workers, threads, way)
    try:
        plain.start()
        yield plain
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(plain.process.pid, signal.SIGKILL)
        plain.process.wait()


@contextlib.contextmanager
def plain_uvicorn(folder: Path, *, way: Way = NEAR) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The project in `folder`, served by Uvicorn alone: its address, and its process."""
    log = folder.parent / f"{folder.name}.plain.log"
    size = (f"--host={way.host}", "--port=0", "--timeout-keep-alive=75")
    argv = (*way.server, sys.executable, "-m", "uvicorn", *size, "wsgi:app")
    with log.open("w") as output:
        process = subprocess.Popen(argv, cwd=folder, stdout=output, stderr=output, start_new_session=True)
    try:
        listening = re.compile(r"running on (http://\S+:\d+)")
        yield until(lambda: listening.search(log.read_text()), what="listening")[1], process
    finally:
        process.kill()
        process.wait()
