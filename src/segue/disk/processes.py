"""Processes by pid and start time, so that a reused pid is never taken for the one that was meant."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


@dataclass(frozen=True)
class ProcessId:
    """One process for ever.

    Attributes:
        pid: its number, which the kernel may give away again.
        started: its start in clock ticks since boot (field 22 of proc(5)'s stat).
    """

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether it runs still; a zombie does not."""
        state = _stat(self.pid)
        return state is not None and state.started == self.started and state.letter not in "ZX"

    def signal(self, number: int) -> bool:
        """Send it signal `number`; False when it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            _pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


def _pidfd_send_signal(descriptor: int, number: int) -> None:
    import signal  # noqa: PLC0415 - `segue status` never signals, and should start instantly

    signal.pidfd_send_signal(descriptor, number)


@dataclass(frozen=True)
class _Stat:
    letter: str
    parent: int
    session: int
    started: int
    stack: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        if error.errno in OUT_OF_DESCRIPTORS:
            raise  # that says nothing of the process, and a living master must not be started again
        return None
    fields = text.rpartition(")")[2].split()
    return _Stat(
        letter=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
        stack=int(fields[25]),
    )


def process(pid: int) -> ProcessId | None:
    """The running process `pid`; None when there is none."""
    state = _stat(pid)
    return None if state is None or state.letter in "ZX" else ProcessId(pid, state.started)


def myself() -> ProcessId:
    """This process."""
    found = process(os.getpid())
    if found is None:
        raise RuntimeError("/proc is not mounted")
    return found


def parent_of(pid: int) -> int | None:
    """The parent of `pid`; None when it is gone."""
    state = _stat(pid)
    return None if state is None or state.letter in "ZX" else state.parent


def stack_of(pid: int) -> int | None:
    """Where its stack begins (field 28 of proc(5)'s stat): a fork has its parent's, another program has not.

    None when it is gone, 0 where the kernel does not say it to us.
    """
    state = _stat(pid)
    return None if state is None else state.stack


def in_sessions(sessions: set[int]) -> Iterator[ProcessId]:
    """The running processes whose session is one of `sessions`."""
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        state = _stat(pid)
        if state is not None and state.session in sessions and state.letter not in "ZX":
            yield ProcessId(pid, state.started)


def children_of(master: ProcessId) -> set[ProcessId]:
    """The running children of `master`, which leads its session; one that left the session is none."""
    return {process for process in in_sessions({master.pid}) if parent_of(process.pid) == master.pid}


def marked(name: str, value: str) -> Iterator[ProcessId]:
    """The running processes of this user that were started with `value` in their environment as `name`."""
    word = f"{name}={value}".encode()
    for pid in (int(number) for number in os.listdir("/proc") if number.isdigit()):
        try:
            found = word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if found and (running := process(pid)) is not None:
            yield running


def die_with_parent(parent: int, number: int) -> bool:
    """Have the kernel send us signal `number` when our `parent` dies; False when it has died already."""
    import ctypes  # noqa: PLC0415 - `segue status` dies of nobody's death, and should start instantly

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    return os.getppid() == parent
