"""A short wire: two network namespaces with a cable between them, for as long as the asker lives.

Spoken to as `wire` is, and as nameless: it is a program, started with a unix socket as its standard input.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess

from tests.support.wire import CLIENT, CLONE_NEWNET, SERVER, STDIN, hand_over, sweep, unshare

DEVICE = "near0"
PREFIX = 24


def main() -> None:
    """Lay the cable, and hand out sockets of the clients' side until the asker is gone."""
    with socket.socket(fileno=STDIN) as control:
        try:
            server, client = new_namespace(), new_namespace()
            lay(server, client)
        except (OSError, subprocess.CalledProcessError) as error:
            control.sendall(json.dumps({"refused": str(error)}).encode())
            return
        control.sendall(json.dumps({"server": entered(server), "client": entered(client)}).encode())
        while hand_over(control):
            pass
    sweep({os.fstat(namespace).st_ino for namespace in (server, client)})


def new_namespace() -> int:
    """Move into a new network namespace; its descriptor."""
    unshare(CLONE_NEWNET)
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def path(namespace: int) -> str:
    """A path to that namespace for other processes."""
    return f"/proc/{os.getpid()}/fd/{namespace}"


def entered(namespace: int) -> tuple[str, ...]:
    """The command that runs another one in that namespace."""
    return ("nsenter", f"--net={path(namespace)}", "--")


def lay(server: int, client: int) -> None:
    """One device in each, and both up."""
    peer = ("peer", "name", DEVICE, "netns", path(client))
    ip(server, "link", "add", DEVICE, "type", "veth", *peer)
    for namespace, address in ((server, SERVER), (client, CLIENT)):
        ip(namespace, "address", "add", f"{address}/{PREFIX}", "dev", DEVICE)
        ip(namespace, "link", "set", DEVICE, "up")
        ip(namespace, "link", "set", "lo", "up")


def ip(namespace: int, *words: str) -> None:
    subprocess.run((*entered(namespace), "ip", *words), check=True, stdin=subprocess.DEVNULL, timeout=10)


if __name__ == "__main__":
    main()
