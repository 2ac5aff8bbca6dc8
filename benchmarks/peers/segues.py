"""segue: by handoff under its own keeper, and by the link that nginx follows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import site
from tests.support.leaving import PATIENT
from tests.support.masters import RELEASE
from tests.support.nginx import Front, front

from benchmarks.peers.place import KEPT, THREADS, WORKERS, Place
from segue.config.schema import AppConfig
from segue.core.address import Address
from segue.core.errors import Failed
from segue.disk.home import Home
from segue.disk.processes import in_sessions
from segue.embedded.listener import bind_listener
from segue.embedded.masters import Masters
from segue.front.queue import queued
from segue.proof.ask import ask
from segue.run.generation import Generation
from segue.run.start import start_document

SETTINGS: dict[str, Any] = {"workers": WORKERS, "linger": "1s", "watch": "1s", "probe_rate": 10}
GTHREAD = {**SETTINGS, "threads": THREADS}
UVICORN = {**SETTINGS, "server": "uvicorn", "server_args": ("--timeout-keep-alive", str(KEPT))}
POLL = 0.02
CHECK_TIMEOUT = 5.0


@dataclass
class Handoff:
    """`segue up`, and `segue deploy`."""

    served: site.Site

    def __post_init__(self) -> None:
        self.old = self.served.live()

    @property
    def url(self) -> str:
        """Its address."""
        return self.served.url

    def deploy(self, version: str) -> None:
        """`segue deploy`, whatever comes of it: the course looks for itself."""
        del version
        self.old = self.served.live()
        self.served.segue("deploy")

    def is_leaving(self) -> bool:
        """Whether the old generation has the word."""
        return (self.old.folder / "leaving").exists()

    def processes(self) -> list[int]:
        """The keeper's, its builds' and its probe's, and those of all generations."""
        return list(_tree(self.served.process.pid))


def _tree(pid: int) -> Iterator[int]:
    """A process, and all that descend from it; what nobody is the parent of is the keeper's."""
    yield pid
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # gone meanwhile
            for word in file.read_text().split():
                yield from _tree(int(word))


def handoff(settings: dict[str, Any]) -> Callable[[Place], AbstractContextManager[Handoff]]:
    """`segue up` with these settings."""

    @contextlib.contextmanager
    def starts(place: Place, /) -> Iterator[Handoff]:
        (place.app / "gunicorn.conf.py").write_text(PATIENT)
        site.configure(place.app, **settings)
        with site.serving(place.app) as served:
            yield Handoff(served)

    return starts


@dataclass
class Linked:
    """Blue-green as on a server, but for systemd: boot behind the gate, check, rename the link, drain.

    Attributes:
        live: the generation that the link leads to; empty before the first.
        old: the one before, in the last deploy.
    """

    place: Place
    nginx: Front
    live: str = ""
    old: str = ""
    masters: dict[str, Masters] = field(default_factory=dict)
    listeners: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Nginx's."""
        return self.nginx.url

    def deploy(self, version: str) -> None:
        """A new generation, and the old one's end."""
        del version
        with contextlib.suppress(Failed):
            asyncio.run(self.replace())

    async def replace(self) -> None:
        """Put a new generation in the place of the live one.

        Raises:
            Failed: it is not fit; it is gone, and the live one serves.
        """
        self.old, name = self.live, f"{RELEASE}.{len(self.masters) + 1}"
        masters = self._prepare(name)
        try:
            await self._boot(masters, name)
        except Failed:
            await masters.discard(name)
            raise
        self.nginx.link.route(name)
        self.live = name
        if self.old:
            while queued(self._socket(self.old)):
                await asyncio.sleep(POLL)
            await self.masters[self.old].drain(self.old)

    def _prepare(self, name: str) -> Masters:
        self._socket(name).parent.mkdir()
        address = Address(path=str(self._socket(name)))
        self.listeners.append(bind_listener(address))
        home = Home(self.place.app)
        home.create()
        self.masters[name] = Masters(home, self.listeners[-1].fileno(), os.environ)
        generation = self.masters[name].generation(name)
        generation.prepare(self._start(generation, address))
        return self.masters[name]

    async def _boot(self, masters: Masters, name: str) -> None:
        await masters.spawn(name)
        await masters.all_ready(name)
        masters.go(name)
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                answer = await ask("http://localhost/healthz", f"unix:{self._socket(name)}")
        except OSError as error:
            raise Failed("check", "The check was not answered.", evidence=str(error)) from error
        if answer.status >= 300:  # noqa: PLR2004 - healthy is 2xx
            raise Failed("check", f"The check was answered with {answer.status}.")

    def _start(self, generation: Generation, address: Address) -> dict[str, Any]:
        words = {**site.QUICK, **GTHREAD, "name": "shop", "check": "/healthz"}
        return start_document(
            AppConfig.model_validate(words),
            address,
            generation=generation.name,
            folder=generation.folder,
            project=self.place.app,
            release=self.place.app,
            python=Path(sys.executable),
            module="wsgi:app",
            server="gunicorn",
            interface="wsgi",
            environ=os.environ,
        )

    def _socket(self, name: str) -> Path:
        return self.nginx.root / name / "http.sock"

    def is_leaving(self) -> bool:
        """Whether the old generation has the word."""
        return bool(self.old) and self.masters[self.old].generation(self.old).told_to_leave()

    def processes(self) -> list[int]:
        """Those of all generations."""
        found = [self.masters[name].generation(name).master() for name in self.masters]
        return [each.pid for each in in_sessions({master.pid for master in found if master})]


@contextlib.contextmanager
def linked(place: Place) -> Iterator[Linked]:
    """Nginx follows the link to the live generation, until the block ends."""
    (place.app / "gunicorn.conf.py").write_text(PATIENT)
    with front() as nginx:
        made = Linked(place, nginx)
        try:
            asyncio.run(made.replace())
            nginx.nginx.put("segue-shop", nginx.site())
            yield made
        finally:
            for name, masters in made.masters.items():
                masters.kill(name)
            site.until(lambda: not made.processes(), what="the end of all generations")
            for listener in made.listeners:
                listener.close()
