"""The listening socket that the keeper owns for as long as it lives, and who has it when it can't be had."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import pwd
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segue.core.address import Address
from segue.core.errors import Refused, UsageError

BACKLOG = 2048
_LISTENING, _ACCEPTS = "0A", 1 << 16
_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def bind_listener(address: Address) -> socket.socket:
    """A socket that listens on `address`.

    Raises:
        Refused: somebody else has it, or this user may not have it.
        UsageError: this machine has no such address.
    """
    if address.path:
        _clear_stale(address)
    try:
        where = _resolved(address)
        listener = socket.socket(where.family, socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError("bind", f"{address} can't be used here: {error}.", hint="mend bind") from error
    try:
        if not address.path:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where.name)
        if address.path:
            # a proxy of another user has to get in, as it would with Gunicorn and with a TCP port
            os.chmod(address.path, 0o666)  # noqa: S103 - see above
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_bind(address, where, error) from error
    return listener


def bound_address(address: Address, listener: socket.socket) -> Address:
    """`address` with the port that the system chose, where it was left to it."""
    return address if address.path else Address(address.host, listener.getsockname()[1])


@dataclass(frozen=True)
class _Where:
    family: socket.AddressFamily
    name: str | tuple[str, int]


def _resolved(address: Address) -> _Where:
    if address.path:
        return _Where(socket.AF_UNIX, address.path)
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, name = found[0]
    return _Where(family, (str(name[0]), int(name[1])))


def _clear_stale(address: Address) -> None:
    """Remove the socket that somebody dead left; what is no socket refuses connections too, and stays."""
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.setblocking(False)
        try:
            client.connect(address.path)
        except ConnectionRefusedError:
            if _is_socket(address.path):
                os.unlink(address.path)


def _cannot_bind(address: Address, where: _Where, error: OSError) -> Exception:
    if error.errno == errno.EADDRINUSE and address.path and not _is_socket(address.path):
        return Refused(
            "not_a_socket",
            f"{address.path} is there, and is not a socket.",
            evidence=f"{address.path}: {stat.filemode(os.lstat(address.path).st_mode)}",
            hint="it was left as it is; choose another path with --bind",
        )
    if error.errno == errno.EADDRINUSE:
        return Refused(
            "port_in_use",
            f"{address} is in use.",
            evidence=_holder(address, where),
            hint="stop that process, or choose another address with --bind",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return Refused(
            "bind_denied",
            f"This user may not listen on {address}.",
            evidence=str(error),
            hint="ports below 1024 need root; take a higher one, and a proxy in front",
        )
    return UsageError(
        "bind", f"This machine can't listen on {address}.", evidence=str(error), hint="mend bind"
    )


def _holder(address: Address, where: _Where) -> str:
    inode, uid = _socket_of(address, where)
    user = "" if uid is None else f" of user {_user(uid)}"
    pid = None if inode is None else _pid_with(inode)
    if pid is None:
        return f"held by a process{user}"
    argv = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return f"held by pid {pid}{user}: {argv[:200]}"


def _socket_of(address: Address, where: _Where) -> tuple[str | None, int | None]:
    if where.family == socket.AF_UNIX:
        return _unix_inode(address.path), os.stat(address.path).st_uid
    return _tcp_inode(str(where.name[0]), address.port)


def _tcp_inode(host: str, port: int) -> tuple[str | None, int | None]:
    """Inode and user of the socket that keeps us off `host`: that address, or one that stands for all."""
    wanted = _plain(ipaddress.ip_address(host.partition("%")[0]))
    for found, inode, uid in _listening(port):
        if found == wanted or found.is_unspecified or wanted.is_unspecified:
            return inode, uid
    return None, None


def _listening(port: int) -> Iterator[tuple[_Ip, str, int]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                host, _, hex_port = fields[1].partition(":")
                if fields[3] == _LISTENING and int(hex_port, 16) == port:
                    yield _plain(_from_hex(host)), fields[9], int(fields[7])


def _from_hex(host: str) -> _Ip:
    """The address that the kernel prints as 32-bit words in its own byte order."""
    words = (int(host[at : at + 8], 16) for at in range(0, len(host), 8))
    return ipaddress.ip_address(b"".join(word.to_bytes(4, sys.byteorder) for word in words))


def _plain(ip: _Ip) -> _Ip:
    return getattr(ip, "ipv4_mapped", None) or ip


def _unix_inode(path: str) -> str | None:
    for line in Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        # connections to it, ours of a moment ago among them, have its path too
        if fields[-1] == path and int(fields[3], 16) & _ACCEPTS:
            return fields[6]
    return None


def _pid_with(inode: str) -> int | None:
    wanted = f"socket:[{inode}]"
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.readlink(link) == wanted for link in (folder / "fd").iterdir()):
                return int(folder.name)
    return None


def _is_socket(path: str) -> bool:
    return stat.S_ISSOCK(os.lstat(path).st_mode)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
