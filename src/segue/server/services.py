"""The systemd form of `Processes`: one service and one socket unit for each generation."""

from __future__ import annotations

import asyncio
import contextlib
import shutil

from segue.core.errors import Refused, Stranded
from segue.deploy.converge import Standing
from segue.front.queue import queued
from segue.run.generation import Generation
from segue.run.ready import until_listening, until_ready
from segue.server import systemd
from segue.server.folders import lay_open
from segue.server.home import ServerHome
from segue.server.installed import Installed
from segue.server.units import FRONT_GROUP

POLL = 0.05
# the app's user binds there, its files get nginx's group, and nobody else looks in
BINDING_MODE = 0o2750


class Services:
    """Starts, lets go and ends the units of one app's generations."""

    def __init__(self, home: ServerHome, installed: Installed) -> None:
        self._home = home
        self._layout = home.layout
        self._installed = installed

    def generation(self, name: str) -> Generation:
        """The generation of that name."""
        return Generation(name, self._home.generation(name), self._home.unit(name))

    def observe(self) -> dict[str, Standing]:
        """How every generation with an active unit stands."""
        units = {self._layout.service(name): name for name in self._home.generations()}
        units |= {self._layout.socket(name): name for name in self._home.generations()}
        found: dict[str, Standing] = {}
        for unit, state in systemd.states(units).items():
            name = units[unit]
            standing = _standing(self.generation(name), state, service=unit.endswith(".service"))
            # a socket without its service is left over; a service says more than its socket
            if standing is not None and found.get(name, Standing.LEAVING) is Standing.LEAVING:
                found[name] = standing
        return found

    async def spawn(self, name: str) -> None:
        """Start its units, unless they run.

        Raises:
            Failed: systemd could not start them.
        """
        if self.observe().get(name) in (Standing.HELD, Standing.SERVING):
            return
        generation = self.generation(name)
        if generation.master() is None:
            lay_open(generation.folder, self._installed.user)
        units = (self._layout.socket(name), self._layout.service(name))
        await systemd.systemctl("reset-failed", "--quiet", *units, check=False)
        if generation.gated():
            await systemd.systemctl("start", *units)
        else:
            self._let_bind(name)
            await systemd.systemctl("start", self._layout.service(name))

    def _let_bind(self, name: str) -> None:
        """Make the folder in which a server binds its own socket, for nginx's group to reach it there."""
        folder = self._layout.socket_folder(name)
        folder.mkdir(exist_ok=True)
        shutil.chown(folder, self._installed.user, FRONT_GROUP)
        folder.chmod(BINDING_MODE)

    async def first_ready(self, name: str) -> None:
        """Wait until one worker of `name` is ready; without the gate, until it listens."""
        await self._ready(name, 1)

    async def all_ready(self, name: str) -> None:
        """Wait until as many workers of `name` are ready as its config asks for."""
        await self._ready(name, None)

    async def _ready(self, name: str, workers: int | None) -> None:
        generation = self.generation(name)
        if generation.gated():
            await until_ready(generation, workers)
        else:
            await until_listening(generation, self._layout.socket_path(name))

    def go(self, name: str) -> None:
        """Let the workers of `name` accept."""
        self.generation(name).tell("go")

    def workers(self, name: str) -> int:
        """How many workers of `name` are ready."""
        return len(self.generation(name).ready_workers())

    async def scale(self, name: str, workers: int) -> int:
        """See `Processes`: not yet, on a server."""
        raise Refused(
            "scale",
            "The number of workers can't be changed without a deploy on a server.",
            evidence=f"{name}, asked for {workers} workers",
            hint="set workers in segue.toml, then `segue restart`",
        )

    async def finish_scaling(self, name: str) -> None:
        """See `Processes`: nothing was begun."""

    async def drain(self, name: str) -> None:
        """Let `name` finish what it holds and leave; systemd ends it at its stop timeout."""
        await self._until_unqueued(name)
        await self._stop(name, "leaving")

    async def _until_unqueued(self, name: str) -> None:
        """Wait until its server has accepted whoever came: what still queues when it stops is lost."""
        path = self._layout.socket_path(name)
        # with a damaged start.json it has to leave all the same
        with contextlib.suppress(TimeoutError, Stranded):
            async with asyncio.timeout(self.generation(name).start()["drain_timeout"]):
                while queued(path):
                    await asyncio.sleep(POLL)

    async def discard(self, name: str) -> None:
        """End `name`, which never accepted anything."""
        await self._stop(name, "no")

    async def _stop(self, name: str, word: str) -> None:
        with contextlib.suppress(OSError):
            self.generation(name).tell(word)
        # in one command: a connection would start a service anew whose socket is still there
        await systemd.systemctl("stop", self._layout.socket(name), self._layout.service(name))
        with contextlib.suppress(OSError):
            self._layout.socket_path(name).unlink(missing_ok=True)
            self._layout.socket_folder(name).rmdir()


def _standing(generation: Generation, state: str, *, service: bool) -> Standing | None:
    if state == systemd.LEAVING or (state in systemd.ACTIVE and not service):
        return Standing.LEAVING
    if state not in systemd.ACTIVE:
        return None
    if generation.told_to_leave():
        return Standing.LEAVING
    return Standing.SERVING if generation.told_to_go() else Standing.HELD
