"""Ways between namespaces: one of 40 ms, which a far user has and loopback hides, and a short one."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support import cable, wire
from tests.support.way import Way

ROUND_TRIP = 0.04
ROOT = Path(__file__).parents[2]


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


def far() -> contextlib.AbstractContextManager[Way]:
    """A way of 40 ms, for as long as the block; the test is skipped where this user can't make one."""
    return _laid((sys.executable, wire.__file__, str(ROUND_TRIP / 2)), ROUND_TRIP)


def near() -> contextlib.AbstractContextManager[Way]:
    """A cable between two network namespaces, for as long as the block; this takes root."""
    return _laid((sys.executable, "-m", cable.__name__), 0.0)


@contextlib.contextmanager
def _laid(argv: tuple[str, ...], round_trip: float) -> Iterator[Way]:
    ours, theirs = socket.socketpair()
    with subprocess.Popen(argv, stdin=theirs.fileno(), start_new_session=True, cwd=ROOT), ours:
        theirs.close()
        said = json.loads(ours.recv(4096))
        if "refused" in said:
            pytest.skip(f"no such way here: {said['refused']}")
        yield Way(wire.SERVER, tuple(said["server"]), tuple(said["client"]), _Sockets(ours).make, round_trip)
