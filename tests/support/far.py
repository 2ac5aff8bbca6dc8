"""A way of 40 ms: what a user far from the server has, and loopback hides."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from tests.support import wire
from tests.support.way import Way

ROUND_TRIP = 0.04


@dataclass
class _Sockets:
    """Makes sockets on the clients' side: a socket stays in the namespace that it was made in."""

    control: socket.socket
    lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self) -> socket.socket:
        with self.lock:
            self.control.sendall(b".")
            _, [descriptor], _, _ = socket.recv_fds(self.control, 1, 1)
        return socket.socket(fileno=descriptor)


@contextlib.contextmanager
def far() -> Iterator[Way]:
    """A way of 40 ms, for as long as the block; the test is skipped where this user can't make one."""
    ours, theirs = socket.socketpair()
    argv = (sys.executable, wire.__file__, str(ROUND_TRIP / 2))
    with subprocess.Popen(argv, stdin=theirs.fileno(), start_new_session=True), ours:
        theirs.close()
        said = json.loads(ours.recv(4096))
        if "refused" in said:
            pytest.skip(f"no wire of 40 ms here: {said['refused']}")
        yield Way(wire.SERVER, tuple(said["server"]), tuple(said["client"]), _Sockets(ours).make, ROUND_TRIP)
