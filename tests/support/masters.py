"""Gunicorn masters without a keeper: generations that a test starts, holds and ends by hand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.site import until

from segue.config.schema import AppConfig
from segue.core.address import Address, parse_address
from segue.disk.home import Home
from segue.disk.processes import ProcessId
from segue.embedded.listener import bind_listener, bound_address
from segue.embedded.masters import Masters
from segue.run.generation import Generation
from segue.run.start import start_document

RELEASE = "20261121T013455-8c1f2e9"
CONFIG = {"name": "tiny", "check": "/healthz", "ready_timeout": "20s", "drain_timeout": "10s"}


@dataclass
class Bench:
    """A project that is its own release, a listening socket, and the masters that share it."""

    home: Home
    address: Address
    environ: dict[str, str]
    processes: Masters

    def prepare(
        self, name: str, module: str = "wsgi:app", server: str = "gunicorn", **config: Any
    ) -> Generation:
        """A generation that can be started."""
        generation = self.processes.generation(name)
        document = start_document(
            AppConfig.model_validate({**CONFIG, **config}),
            self.address,
            generation=name,
            folder=generation.folder,
            project=self.home.project,
            release=self.home.project,
            python=Path(sys.executable),
            module=module,
            server=server,
            interface="asgi" if server == "uvicorn" else "wsgi",
            environ=self.environ,
        )
        generation.prepare(document)
        return generation

    def start(self, generation: Generation) -> None:
        """Start it, and wait until all its workers are ready."""
        asyncio.run(self.processes.spawn(generation.name))
        asyncio.run(self.processes.all_ready(generation.name))

    def serve(self, generation: Generation) -> None:
        """Start it, and let it go."""
        self.start(generation)
        self.processes.go(generation.name)

    def master(self, name: str) -> ProcessId:
        """The master of the generation of that name."""
        master = self.processes.generation(name).master()
        assert master is not None
        return master

    # what a test does behind the back of its processes

    def crash(self, generation: str) -> None:
        self.processes.kill(generation)
        until(lambda: generation not in self.processes.observe(), what="its end")

    def begin_to_leave(self, generation: str) -> None:
        self.processes.generation(generation).tell("leaving")

    def let_no_more_boot(self) -> None:
        with (self.home.project / "wsgi.py").open("a") as file:
            file.write("\ntime.sleep(FOREVER)\n")


@contextlib.contextmanager
def bench(folder: Path, **environ: str) -> Iterator[Bench]:
    """A bench on the project in `folder`; at the end all its masters are gone."""
    home, env = Home(folder), {**os.environ, **environ}
    home.create()
    anywhere = parse_address("127.0.0.1:0")
    with bind_listener(anywhere) as listener:
        made = Bench(home, bound_address(anywhere, listener), env, Masters(home, listener.fileno(), env))
        try:
            yield made
        finally:
            for name in made.processes.observe():
                made.processes.kill(name)
            until(lambda: not made.processes.observe(), what="the end of all masters")
