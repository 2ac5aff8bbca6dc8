"""Uvicorn behind the gate: it inherits the listening socket, and a supervisor keeps any number of workers."""

from __future__ import annotations

import inspect
import math
import socket
import time
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any, ClassVar

import click
import uvicorn
from click.core import ParameterSource
from uvicorn.main import main as command_line
from uvicorn.supervisors import multiprocess
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from . import files
from .counting import account_for

DEFAULT_WORKERS = 2
HEALTHCHECK = 5
LOOK_INTERVAL = 0.2
LISTENER = 3
OWNED = (
    "host", "port", "uds", "fd", "reload", "app_dir", "factory", "lifespan", "interface",
    "timeout_graceful_shutdown",
)  # fmt: skip


class Worker(Process):
    """Uvicorn's own, for whose answer nobody waits who has something better to do.

    Uvicorn's waits for all of `timeout_worker_healthcheck`, though the worker has ended since it was asked,
    and hears no signal meanwhile: neither that all have to leave, nor that there are to be more.

    Attributes:
        signals: what its supervisor was told and has not done yet.
    """

    signals: ClassVar[list[int]] = []

    def ping(self, timeout: float = HEALTHCHECK) -> bool:
        """Whether the worker answers in time; also where its supervisor is called away."""
        deadline = time.monotonic() + timeout
        try:
            self.parent_conn.send(b"ping")
            while not self.parent_conn.poll(LOOK_INTERVAL):
                if not self.process.is_alive() or time.monotonic() > deadline:
                    return False
                if self.signals:
                    return True
            self.parent_conn.recv()
        except (OSError, EOFError, UnpicklingError):
            return False
        return True


class Supervisor(Multiprocess):
    """Uvicorn's own, which tells as well what became of workers that ended."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        Worker.signals = self.signal_queue

    def keep_subprocess_alive(self) -> None:
        """Replace workers that ended, but for those that were to leave."""
        before = list(self.processes)
        self._accounting(super().keep_subprocess_alive)
        for old, new in zip(before, list(self.processes), strict=True):
            if old is not new and files.take(f"surplus.{old.pid}"):
                new.kill()
                new.join()
                self.processes.remove(new)
                self.processes_num -= 1

    def handle_signals(self) -> None:
        """Do what signals ask for: more workers, or fewer."""
        self._accounting(super().handle_signals)

    def join_all(self) -> None:
        """Wait until all workers have left; those that have not by the end of the drain are cut."""
        deadline = time.monotonic() + files.start()["drain_timeout"]
        for process in self.processes:
            process.process.join(max(0.0, deadline - time.monotonic()))
            if process.process.is_alive():
                process.process.kill()
                process.process.join()
            account_for(process.pid)

    def _accounting(self, act: Callable[[], None]) -> None:
        before = {process.pid for process in self.processes}
        act()
        for pid in before - {process.pid for process in self.processes}:
            account_for(pid)


def serve(arguments: list[str]) -> None:
    """Run Uvicorn until it is told to stop; `arguments` are what its own command line would take."""
    given, overruled = _settings(arguments)
    start = files.start()
    workers = start["settings"].get("workers") or given.get("workers") or DEFAULT_WORKERS
    drain = max(1, round(start["drain_timeout"]))
    ours = {"workers": workers, "lifespan": "on", "interface": "asgi3", "timeout_graceful_shutdown": drain}
    config = uvicorn.Config(f"{__package__}.uvicorn_app:app", **{**given, **ours})
    booted = {"workers": workers, "threads": 1, "preload_app": False, "worker_class": "uvicorn"}
    files.write(
        "booted.json",
        {**booted, "server": "uvicorn", "version": uvicorn.__version__, "overruled": overruled},
    )
    multiprocess.Process = Worker  # type: ignore[misc] # there is no other way
    Supervisor(config, [socket.socket(fileno=LISTENER)]).run()


def _settings(arguments: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What the command line and ``UVICORN_*`` in the environment ask for, and what of it segue decides."""
    try:
        context = command_line.make_context("uvicorn", ["app", *arguments], auto_envvar_prefix="UVICORN")
    except click.ClickException as error:
        files.refuse("server_args", error.format_message())
    known = inspect.signature(uvicorn.Config).parameters.keys() - {"app", *OWNED}
    asked = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)
    }
    given = {name: value for name, value in asked.items() if name in known}
    if "headers" in given:
        given["headers"] = [tuple(header.split(":", 1)) for header in given["headers"]]
    # while an import holds the interpreter, a worker can't say that it is alive
    given.setdefault(
        "timeout_worker_healthcheck", max(HEALTHCHECK, math.ceil(files.start()["ready_timeout"]))
    )
    return given, {name: repr(asked[name]) for name in OWNED if name in asked}
