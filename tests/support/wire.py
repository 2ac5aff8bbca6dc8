"""A long wire: two network namespaces, and a process that carries every packet between them, later.

Each namespace has one TUN device. This process holds both, and hands each packet to the other side when its
delay is over, in order: TCP itself sees the distance. It is a script of the standard library alone,
started with a unix socket as its standard input. It says there how to enter, answers each byte with a new TCP
socket of the client's side, and ends with that socket: so also when the test is killed. With it ends every
process in its namespaces. They have no names, and their devices go with them.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

CLIENT, SERVER, NETMASK = "10.40.0.1", "10.40.0.2", "255.255.255.0"
DEVICE, LOOPBACK = b"far0", b"lo"
LONGEST_PACKET, MOST_AT_ONCE = 2048, 64
STDIN = 0

# linux/sched.h, linux/if_tun.h, linux/if.h, linux/sockios.h
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI, IFF_UP = 0x400454CA, 0x1, 0x1000, 0x1
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C


def main() -> None:
    """Lay the wire and carry packets until the asker is gone."""
    with socket.socket(fileno=STDIN) as control:
        try:
            user = become_able()
            server, client = lay_end(SERVER), lay_end(CLIENT)
        except OSError as error:
            control.sendall(json.dumps({"refused": str(error)}).encode())
            return
        pid = os.getpid()
        enter = {
            "server": ["nsenter", *user, f"--net=/proc/{pid}/fd/{server.namespace}", "--"],
            "client": ["nsenter", *user, f"--net=/proc/{pid}/fd/{client.namespace}", "--"],
        }
        control.sendall(json.dumps(enter).encode())
        carry(control, client.device, server.device, delay=float(sys.argv[1]))
    sweep({os.fstat(end.namespace).st_ino for end in (server, client)})


def become_able() -> list[str]:
    """Become somebody who may make network namespaces; what nsenter has to be told of it."""
    with contextlib.suppress(PermissionError):
        unshare(CLONE_NEWNET)
        return []
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    # without setgroups, or a normal user's group can't be mapped (user_namespaces(7))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        Path("/proc/self", name).write_text(text)
    return [f"--user=/proc/{os.getpid()}/ns/user", "--preserve-credentials"]


def unshare(flags: int) -> None:
    """unshare(2), which Python has from 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")


class End:
    """One end of the wire: descriptors of its namespace and of its device."""

    def __init__(self, namespace: int, device: int) -> None:
        self.namespace = namespace
        self.device = device


def lay_end(address: str) -> End:
    """Move into a new network namespace with that address; sockets are made in the last one laid."""
    unshare(CLONE_NEWNET)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", DEVICE, IFF_TUN | IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for request, argument in (
            (SIOCSIFADDR, of_address(address)),
            (SIOCSIFNETMASK, of_address(NETMASK)),
            (SIOCSIFFLAGS, struct.pack("16sH22x", DEVICE, IFF_UP)),
            # what is for the address of one's own goes there
            (SIOCSIFFLAGS, struct.pack("16sH22x", LOOPBACK, IFF_UP)),
        ):
            fcntl.ioctl(any_socket, request, argument)
    return End(os.open("/proc/self/ns/net", os.O_RDONLY), device)


def of_address(address: str) -> bytes:
    """A struct ifreq with an IPv4 address (netdevice(7))."""
    return struct.pack("16sH2x4s16x", DEVICE, socket.AF_INET, socket.inet_aton(address))


def carry(control: socket.socket, client: int, server: int, delay: float) -> None:
    """Carry packets, each `delay` seconds late, until `control` ends."""
    under_way: deque[tuple[float, int, bytes]] = deque()
    while True:
        pause = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        readable, _, _ = select.select([STDIN, client, server], [], [], pause)
        if STDIN in readable and not hand_over(control):
            return
        for source, target in ((client, server), (server, client)):
            if source in readable:
                under_way.extend((time.monotonic() + delay, target, packet) for packet in waiting(source))
        while under_way and under_way[0][0] <= time.monotonic():
            _, target, packet = under_way.popleft()
            os.write(target, packet)


def waiting(device: int) -> Iterator[bytes]:
    """What waits to be carried from that device."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(MOST_AT_ONCE):
            yield os.read(device, LONGEST_PACKET)


def hand_over(control: socket.socket) -> bool:
    """Answer one byte with a socket of this namespace; whether the asker is still there."""
    with contextlib.suppress(ConnectionError):
        if control.recv(1):
            with socket.socket() as made:
                socket.send_fds(control, [b"."], [made.fileno()])
            return True
    return False


def sweep(namespaces: set[int]) -> None:
    """End every process but this one in these network namespaces."""
    while found := [pid for pid in inhabitants(namespaces) if pid != os.getpid()]:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def inhabitants(namespaces: set[int]) -> Iterator[int]:
    """The processes in these network namespaces that this user may look at."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "ns/net").stat().st_ino in namespaces:
                yield int(folder.name)


if __name__ == "__main__":
    main()
