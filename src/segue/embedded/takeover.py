"""The listening socket of a keeper that was killed: its generations serve on, and still have it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from segue.core.address import Address
from segue.disk.home import Home
from segue.disk.processes import ProcessId
from segue.embedded.listener import BACKLOG
from segue.run.generation import Generation

SYS_PIDFD_GETFD = 438


def take_listener(home: Home, address: Address) -> socket.socket | None:
    """The socket that listens on `address`, from a master that has it; None where none has, or none gives it.

    The kernel asks for what a debugger needs: the same user, and on some systems more.
    """
    for name in home.generations():
        master = Generation(name, home.generation(name)).master()
        if master is not None and master.alive():
            for listener in _listeners(master):
                if _is_on(listener, address):
                    listener.listen(BACKLOG)
                    return listener
                listener.close()
    return None


def _listeners(master: ProcessId) -> Iterator[socket.socket]:
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{master.pid}/fd").iterdir():
            if os.readlink(link).startswith("socket:"):
                one = socket.socket(fileno=_descriptor_of(master, int(link.name)))
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    yield one
                else:
                    one.close()


def _descriptor_of(master: ProcessId, number: int) -> int:
    process = os.pidfd_open(master.pid)
    try:
        found = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, process, number, 0)
    finally:
        os.close(process)
    if found < 0:
        raise OSError(ctypes.get_errno(), "the descriptor can't be had")
    return int(found)


def _is_on(listener: socket.socket, address: Address) -> bool:
    name = listener.getsockname()
    if address.path or listener.family == socket.AF_UNIX:
        return bool(name == address.path)
    hosts = {found[4][0] for found in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)}
    return name[0] in hosts and address.port in (0, name[1])
