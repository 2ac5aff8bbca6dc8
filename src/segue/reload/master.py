"""The service's main process, as the kernel knows it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals

from segue.core.errors import Refused
from segue.disk.processes import ProcessId, in_sessions, parent_of, process, stack_of

_GUNICORN_MODULES = ("gunicorn", "gunicorn.app.wsgiapp")
_SHELLS = ("sh", "bash", "dash", "zsh")
# of Python's own, with a word of their own
_FLAGS_WITH_WORD = ("-X", "-W", "--check-hash-based-pycs")
_TITLE = "gunicorn: master ["


@dataclass(frozen=True)
class Command:
    """How Gunicorn was started.

    Attributes:
        python: the interpreter and its own flags.
        path: what begins its ``sys.path``.
        arguments: Gunicorn's.
    """

    python: tuple[str, ...]
    path: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Master:
    """A main process.

    Attributes:
        process: the process.
        argv: its command line.
        environ: its environment; None where a process title lies over it.
        cwd: where it is.
        executable: its program.
        uid: whose it is.
        gid: of which group it is.
    """

    process: ProcessId
    argv: tuple[str, ...]
    environ: Mapping[str, str] | None = field(repr=False)
    cwd: str
    executable: str
    uid: int
    gid: int

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def since(self) -> float:
        """When it began, in seconds of the epoch."""
        return begun(self.process)

    def workers(self) -> frozenset[ProcessId]:
        """Its running forks; another program that it started, as hooks may, is none."""
        if not self.process.alive():
            return frozenset()
        session, stack = {os.getsid(self.pid)}, stack_of(self.pid)
        return frozenset(
            child
            for child in in_sessions(session)
            if parent_of(child.pid) == self.pid and stack_of(child.pid) == stack
        )

    def tell(self, number: Signals) -> None:
        """Send it a signal."""
        self.process.signal(number)

    def took(self, number: Signals, switches: int) -> bool:
        """Whether it has woken for signal `number` since it had been taken off the CPU `switches` times."""
        status = _status(self.pid)
        bit = 1 << number - 1
        pending = int(status.get("SigPnd", "0"), 16) | int(status.get("ShdPnd", "0"), 16)
        return not pending & bit and self.switches() > switches

    def switches(self) -> int:
        """How often it has gone to sleep."""
        return int(_status(self.pid).get("voluntary_ctxt_switches", 0))


def begun(process: ProcessId) -> float:
    """When `process` began, in seconds of the epoch."""
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time() - since_boot + process.started / os.sysconf("SC_CLK_TCK")


def read_master(pid: int, started_as: tuple[str, ...]) -> Master:
    """The main process `pid`, whose unit says that it was started as `started_as`.

    Raises:
        Refused: it does not run.
    """
    found = process(pid) if pid else None
    if found is None:
        raise Refused("not_running", "The service has no main process.", hint="start it first")
    proc = Path(f"/proc/{pid}")
    argv = tuple(proc.joinpath("cmdline").read_bytes().decode(errors="surrogateescape").split("\0"))[:-1]
    has_title = any(word.startswith(_TITLE) for word in argv[:1])
    uid, gid = ids_of(pid)
    return Master(
        process=found,
        argv=started_as if has_title else argv,
        environ=None if has_title else _environ(proc),
        cwd=os.readlink(proc / "cwd"),
        executable=os.readlink(proc / "exe"),
        uid=uid,
        gid=gid,
    )


def ids_of(pid: int) -> tuple[int, int]:
    """The user and the group that a process acts as.

    Raises:
        KeyError: it is gone.
    """
    status = _status(pid)
    return int(status["Uid"].split()[1]), int(status["Gid"].split()[1])


def gunicorn_command(argv: tuple[str, ...]) -> Command | None:
    """How Gunicorn is started by `argv`; None where that is something else."""
    if Path(argv[0]).name.startswith("gunicorn"):  # as a unit says it; the kernel puts the interpreter before
        return Command(_interpreter_of(argv[0]), str(Path(argv[0]).resolve().parent), argv[1:])
    at = 1
    while at < len(argv) and argv[at].startswith("-") and argv[at] != "-m":
        at += 2 if argv[at] in _FLAGS_WITH_WORD else 1
    if argv[at : at + 1] == ("-m",) and argv[at + 1 : at + 2] and argv[at + 1] in _GUNICORN_MODULES:
        return Command(argv[:at], "", argv[at + 2 :])
    if argv[at:] and Path(argv[at]).name == "gunicorn":
        return Command(argv[:at], str(Path(argv[at]).resolve().parent), argv[at + 1 :])
    return None


def is_shell(argv: tuple[str, ...]) -> bool:
    """Whether it is a shell, behind which the server hides."""
    return Path(argv[0]).name.lstrip("-") in _SHELLS


def _interpreter_of(script: str) -> tuple[str, ...]:
    """What a script's first line says that it is run by."""
    try:
        with open(script, "rb") as file:
            words = file.readline(4096).decode(errors="replace").removeprefix("#!").split()
    except OSError:
        return ("python3",)
    return tuple(words[1:] if Path(words[0]).name == "env" else words) if words else ("python3",)


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _environ(proc: Path) -> dict[str, str]:
    text = proc.joinpath("environ").read_bytes().decode(errors="surrogateescape")
    return {name: value for name, sign, value in (pair.partition("=") for pair in text.split("\0")) if sign}
