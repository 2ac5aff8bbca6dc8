"""The listening socket of a keeper that is gone: its generations serve on, and still have it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from segue.core.address import Address
from segue.disk.home import Home
from segue.disk.processes import ProcessId
from segue.embedded.listener import BACKLOG
from segue.run.generation import Generation
from segue.run.hold import DOOR

SYS_PIDFD_GETFD = 438
HOLDER_TIMEOUT = 5.0


def take_listener(home: Home, address: Address) -> socket.socket | None:
    """The socket that listens on `address`, from a live generation; None where none has it, or none gives it.

    Its holder gives it to its own user. Where that is gone, the kernel may let it be taken from the master,
    but asks for what a debugger needs: the same user, and on some systems more.
    """
    for name in home.generations():
        generation = Generation(name, home.generation(name))
        master = generation.master()
        if master is not None and master.alive():
            for listener in chain(_from_holder(generation), _from_master(master)):
                if _is_on(listener, address):
                    listener.listen(BACKLOG)
                    return listener
                listener.close()
    return None


def _from_holder(generation: Generation) -> Iterator[socket.socket]:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(HOLDER_TIMEOUT)
        folder = os.open(generation.folder, os.O_PATH | os.O_DIRECTORY)
        try:
            # the folder's own path may be longer than a socket's can be
            asking.connect(f"/proc/self/fd/{folder}/{DOOR}")
        finally:
            os.close(folder)
        _, descriptors, _, _ = socket.recv_fds(asking, 1, 1, socket.MSG_CMSG_CLOEXEC)
        for descriptor in descriptors:
            yield socket.socket(fileno=descriptor)


def _from_master(master: ProcessId) -> Iterator[socket.socket]:
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
