"""The holder: keeps a generation's listening socket at hand for the next keeper, while one master lives.

A keeper that is killed takes its own descriptor of the socket with it, and out of an app server only a
debugger may take one. So each master has this process beside it. Whoever is of its user and connects to
`DOOR` in the generation's folder is sent the socket (SCM_RIGHTS); nobody is asked anything. It never accepts
from that socket, and it ends when its master does, so that nobody queues for an app that is gone.

Run as ``python -I -S hold.py FOLDER MASTER`` in a session of its own: the listening socket is descriptor 3,
a pidfd of the master is descriptor MASTER. It comes back as soon as it listens. Any later version of segue
may connect, so what is said here can't change.
"""

import contextlib
import os
import select
import socket
import struct
import sys

DOOR = "holder.sock"
LISTENER_FD = 3
CREDENTIALS = struct.Struct("3i")  # unix(7): struct ucred {pid, uid, gid}


def main() -> None:
    """Listen, and end; what is left hands the socket out until the master ends."""
    folder, master = sys.argv[1], int(sys.argv[2])
    # bound by a name in here, because a path has no more than 107 bytes
    os.chdir(folder)
    door = _door()
    # as nobody's child: an app server waits for its children, and has not started this one
    if os.fork():
        os._exit(0)
    while master not in select.select((master, door.fileno()), (), ())[0]:
        with contextlib.suppress(OSError):
            _hand_out(door)


def _door() -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        # an earlier master's
        os.unlink(DOOR)
    os.umask(0o177)
    door = socket.socket(socket.AF_UNIX)
    door.bind(DOOR)
    door.listen()
    door.setblocking(False)
    return door


def _hand_out(door: socket.socket) -> None:
    with door.accept()[0] as asker:
        asker.setblocking(False)
        sent = asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        _, user, _ = CREDENTIALS.unpack(sent)
        if user == os.geteuid():
            socket.send_fds(asker, [b"\n"], [LISTENER_FD])


if __name__ == "__main__":
    main()
