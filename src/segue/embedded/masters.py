"""The embedded form of `Processes`: Gunicorn masters that share the keeper's listening socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping

from segue.config.schema import AppConfig
from segue.core.errors import Failed, Stranded
from segue.deploy.converge import Standing
from segue.disk.home import Home
from segue.disk.processes import ProcessId
from segue.embedded.orphans import leftovers_of, orphans_of
from segue.embedded.scaling import Scaling
from segue.run import launch
from segue.run.generation import Generation
from segue.run.ready import until_ready

POLL = 0.03
SPAWN_TIMEOUT = 10.0
KILL_AFTER_DRAIN = 3.0
DISCARD_TIMEOUT = 2.0
LISTENER_FD = 3


async def ended(process: ProcessId) -> None:
    """Wait until `process` has ended; at once where it has."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    try:
        loop.add_reader(descriptor, gone.set)
        if process.alive():
            await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


class Masters:
    """Starts, holds, lets go and ends the masters of one project's generations."""

    def __init__(self, home: Home, listener: int, environ: Mapping[str, str]) -> None:
        self._home = home
        self._listener = listener
        self._environ = environ
        self._spawning = asyncio.Lock()

    def generation(self, name: str) -> Generation:
        """The generation of that name."""
        return Generation(name, self._home.generation(name))

    def observe(self) -> dict[str, Standing]:
        """How every generation that has processes stands; one without a master is as good as leaving."""
        standings = {name: _standing(self.generation(name)) for name in self._home.generations()}
        return {name: standing for name, standing in standings.items() if standing is not None}

    async def spawn(self, name: str) -> None:
        """Start the master of `name`, unless it is alive.

        Raises:
            Failed: its process could not even become Gunicorn.
        """
        async with self._spawning:
            generation = self.generation(name)
            master = generation.master()
            if master is not None and master.alive():
                if not generation.told_to_leave():
                    return
                # whoever told it may have died before it could signal, and it is forgotten from here on
                master.signal(signal.SIGTERM)
            generation.forget()
            if not (_masters_of(generation) or orphans_of(generation)):
                generation.forget_earlier_masters()
            await _until_remembered(generation, self._launch(generation))

    def _launch(self, generation: Generation) -> int:
        start = generation.start()
        keeper = str(os.getpid())
        program = (sys.executable, "-I", "-S", launch.__file__, str(generation.folder), keeper, start["root"])
        log = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(generation.log), log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, self._listener, LISTENER_FD),
        ]
        environ = {**self._environ, **start["environ"]}
        for name in start["unset"]:
            environ.pop(name, None)
        argv = (*program, *start["argv"])
        try:
            return os.posix_spawn(argv[0], argv, environ, file_actions=files, setsid=True)
        except (OSError, TypeError, ValueError) as error:
            raise Failed("spawn", f"{generation.name} could not be started.", evidence=str(error)) from error

    async def first_ready(self, name: str) -> None:
        """Wait until one worker of `name` is ready."""
        await until_ready(self.generation(name), 1)

    async def all_ready(self, name: str) -> None:
        """Wait until as many workers of `name` are ready as its config asks for."""
        await until_ready(self.generation(name), None)

    def go(self, name: str) -> None:
        """Let the workers of `name` accept."""
        self.generation(name).tell("go")

    def workers(self, name: str) -> int:
        """How many workers of `name` are ready."""
        return len(self.generation(name).ready_workers())

    async def scale(self, name: str, workers: int) -> int:
        """Give `name` so many workers, now and after any respawn; how many were cut."""
        return await self._scaling(name).bring(workers)

    async def finish_scaling(self, name: str) -> None:
        """Bring to rest what an executor that died in the middle of `scale` left."""
        await self._scaling(name).finish()

    def _scaling(self, name: str) -> Scaling:
        return Scaling(self.generation(name), lambda master: self._replace(name, master))

    async def _replace(self, name: str, master: ProcessId) -> None:
        """Start another master in the place of `master`, which ends: it may hold requests for long still."""
        generation = self.generation(name)
        if generation.master() == master:
            generation.tell("leaving")
        await self.spawn(name)
        await self.relieve(name)

    async def drain(self, name: str) -> None:
        """Let `name` finish what it holds and leave; what is left after its drain timeout is cut."""
        generation = self.generation(name)
        if not generation.told_to_go():
            await self.discard(name)
        else:
            await _end(generation, "leaving", _drain_timeout(generation) + KILL_AFTER_DRAIN)

    async def discard(self, name: str) -> None:
        """End `name`, which never accepted anything."""
        await _end(self.generation(name), "no", DISCARD_TIMEOUT)

    async def relieve(self, name: str) -> None:
        """Let the workers that outlived an earlier master of `name` finish what they hold and leave."""
        generation = self.generation(name)
        await self.all_ready(name)
        await _leave(lambda: orphans_of(generation), _drain_timeout(generation))

    def kill(self, name: str) -> None:
        """End whatever `name` has running at once."""
        generation = self.generation(name)
        for process in {*_left(generation), *leftovers_of(generation)}:
            _kill(process)


def _drain_timeout(generation: Generation) -> float:
    """How long it may drain; with a damaged start.json it has to leave all the same."""
    try:
        return float(generation.start()["drain_timeout"])
    except Stranded:
        return float(AppConfig.model_fields["drain_timeout"].default)


async def _end(generation: Generation, word: str, limit: float) -> None:
    # with a full disk the signal alone has to do, and the deadline
    with contextlib.suppress(OSError):
        generation.tell(word)
    master = generation.master()
    await _leave(lambda: _left(generation), limit)
    # one that ended by itself was waited for by nobody
    with contextlib.suppress(ChildProcessError):
        if master is not None:
            os.waitpid(master.pid, os.WNOHANG)


async def _leave(left: Callable[[], list[ProcessId]], limit: float) -> None:
    """Ask who is `left` to leave, and who is left then, until nobody is; at the deadline they are killed."""
    try:
        async with asyncio.timeout(limit):
            while processes := left():
                for process in processes:
                    process.signal(signal.SIGTERM)
                await _all_ended(processes)
    except TimeoutError:
        while processes := left():
            for process in processes:
                _kill(process)
            await _all_ended(processes)


def _left(generation: Generation) -> list[ProcessId]:
    """Its masters, and the workers that have none any more; with all masters gone, whatever else is left."""
    masters = _masters_of(generation)
    return [*masters, *orphans_of(generation)] if masters else leftovers_of(generation)


def _masters_of(generation: Generation) -> list[ProcessId]:
    """Those that are alive."""
    masters = [*generation.earlier_masters(), generation.master()]
    return [master for master in masters if master is not None and master.alive()]


def _kill(process: ProcessId) -> None:
    """End `process`, and its group where it leads one."""
    with contextlib.suppress(ProcessLookupError):
        if process.alive() and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
    process.signal(signal.SIGKILL)


async def _all_ended(processes: list[ProcessId]) -> None:
    await asyncio.gather(*(ended(process) for process in processes))


def _standing(generation: Generation) -> Standing | None:
    master = generation.master()
    if master is None or not master.alive():
        return Standing.LEAVING if orphans_of(generation) else None
    if generation.told_to_leave():
        return Standing.LEAVING
    return Standing.SERVING if generation.told_to_go() else Standing.HELD


async def _until_remembered(generation: Generation, pid: int) -> None:
    """Wait until the launcher `pid` has left word of itself; else it is ended, for nobody would know it."""
    try:
        await _word_of(generation, pid)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        raise


async def _word_of(generation: Generation, pid: int) -> None:
    deadline = asyncio.get_running_loop().time() + SPAWN_TIMEOUT
    while generation.master() is None:
        if os.waitpid(pid, os.WNOHANG)[0] or asyncio.get_running_loop().time() > deadline:
            raise Failed("spawn", f"{generation.name} could not be started.", evidence=generation.log_tail())
        await asyncio.sleep(POLL)
