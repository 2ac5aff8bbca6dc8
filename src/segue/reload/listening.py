"""Who listens, and who accepts: read from the kernel's tables, so that no app has to help.

A worker accepts on a listening socket when the kernel has it waiting there: the socket is in one of its
epoll sets, or its main thread is in select(2), pselect(2) or poll(2) on it. A worker that is too busy to wait
holds a connection that was made to the socket. An app's import can do none of this: it has no business with
the socket.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segue.core.address import Address

_SOCKET = re.compile(r"socket:\[(\d+)\]")
_WATCHED = re.compile(r"^tfd:.*\bino:([0-9a-f]+)", re.MULTILINE)
_LISTENING_UNIX, _LISTENING_TCP, _CONNECTED_TCP = 0x10000, "0A", "01"
# flags, inode, path; a path is bytes of anybody's choosing, and what it has behind a newline is no row
_UNIX_ROW = re.compile(
    r"[^:]+: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +(\d+) (.+)", re.ASCII
)
# numbers of the calls that wait on sets of descriptors, and on lists of them
_SELECTS = {"x86_64": (23, 270), "aarch64": (72,)}
_POLLS = {"x86_64": (7, 271), "aarch64": (73,)}
_MOST_DESCRIPTORS = 1 << 16
_LENGTH_OF_FOUR = 4
_POLLFD = struct.Struct("ihh")


@dataclass(frozen=True)
class Listener:
    """One listening socket.

    Attributes:
        inode: the kernel's number for it.
        address: where clients find it.
    """

    inode: int
    address: Address


def listeners(pid: int) -> frozenset[Listener]:
    """The sockets on which process `pid` could accept.

    Raises:
        OSError: it is gone, or not ours to look at.
    """
    own = set(_sockets(pid).values())
    return frozenset(each for each in (*_unix_listeners(pid), *_tcp_listeners(pid)) if each.inode in own)


def accepts(pid: int, where: frozenset[Listener]) -> bool:
    """Whether process `pid` waits for connections on one of those sockets now, or has one made there."""
    inodes = {each.inode for each in where}
    with contextlib.suppress(OSError):
        sockets = _sockets(pid)
        waits = inodes & (_in_epoll(pid) | {sockets.get(fd, 0) for fd in _waited_for(pid)})
        return bool(waits) or bool(set(sockets.values()) & _connections(pid, where))
    return False


def _sockets(pid: int) -> dict[int, int]:
    """The inode of every socket that the process has, by descriptor."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if match := _SOCKET.fullmatch(os.readlink(f"/proc/{pid}/fd/{name}")):
                found[int(name)] = int(match[1])
    return found


def _in_epoll(pid: int) -> set[int]:
    watched: set[int] = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(f"/proc/{pid}/fd/{name}") == "anon_inode:[eventpoll]":
                text = Path(f"/proc/{pid}/fdinfo/{name}").read_text()
                watched.update(int(number, 16) for number in _WATCHED.findall(text))
    return watched


def _waited_for(pid: int) -> set[int]:
    """The descriptors for which its main thread waits in select(2) or poll(2)."""
    number, *words = Path(f"/proc/{pid}/syscall").read_text().split()
    machine = platform.machine()
    if not number.isdigit():  # it runs
        return set()
    call, (first, second, *_) = int(number), (int(word, 16) for word in words)
    if call in _SELECTS.get(machine, ()) and 0 < first <= _MOST_DESCRIPTORS and second:
        bits = _memory(pid, second, (first + 7) // 8)
        return {fd for fd in range(first) if bits[fd // 8] >> fd % 8 & 1}
    if call in _POLLS.get(machine, ()) and 0 < second <= _MOST_DESCRIPTORS:
        return {fd for fd, *_ in _POLLFD.iter_unpack(_memory(pid, first, second * _POLLFD.size))}
    return set()


def _memory(pid: int, address: int, size: int) -> bytes:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        found = os.pread(memory.fileno(), size, address)
    if len(found) < size:
        raise OSError("it went on meanwhile")
    return found


def _connections(pid: int, where: frozenset[Listener]) -> set[int]:
    """The sockets that were made by accepting on one of `where`, whoever has them."""
    addresses = {each.address for each in where}
    unix = (inode for _, inode, path in _unix(pid) if Address(path=path) in addresses)
    ports = {address.port for address in addresses if not address.path}
    tcp = (int(row[9]) for row in _tcp(pid) if row[3] == _CONNECTED_TCP and _port(row[1]) in ports)
    return {*unix, *tcp} - {each.inode for each in where}


def _unix_listeners(pid: int) -> Iterator[Listener]:
    for flags, inode, path in _unix(pid):
        if flags & _LISTENING_UNIX:
            yield Listener(inode, Address(path=path))


def _tcp_listeners(pid: int) -> Iterator[Listener]:
    for row in _tcp(pid):
        if row[3] == _LISTENING_TCP:
            yield Listener(int(row[9]), Address(_host(row[1]), _port(row[1])))


def _unix(pid: int) -> Iterator[tuple[int, int, str]]:
    """The flags, the inode and the path of every unix socket that has one."""
    for line in Path(f"/proc/{pid}/net/unix").read_bytes().split(b"\n")[1:]:
        if row := _UNIX_ROW.fullmatch(line.decode(errors="replace")):
            yield int(row[1], 16), int(row[2]), row[3]


def _tcp(pid: int) -> Iterator[list[str]]:
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            yield from map(str.split, Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:])


def _port(text: str) -> int:
    return int(text.rpartition(":")[2], 16)


def _host(text: str) -> str:
    """An address of the kernel's table, where each four bytes are a number of this machine's."""
    digits = text.partition(":")[0]
    words = (int(digits[at : at + 8], 16) for at in range(0, len(digits), 8))
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == _LENGTH_OF_FOUR else socket.AF_INET6, packed)
