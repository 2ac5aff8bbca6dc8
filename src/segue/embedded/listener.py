"""The listening socket that the keeper owns for as long as it lives, and who has it when it can't be had."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path

from segue.core.address import Address
from segue.core.errors import Refused, UsageError

BACKLOG = 2048
_LISTENING = "0A"


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
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(FileNotFoundError):
        try:
            client.connect(address.path)
        except ConnectionRefusedError:
            os.unlink(address.path)


def _cannot_bind(address: Address, where: _Where, error: OSError) -> Exception:
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
    if where.family == socket.AF_UNIX:
        inode, uid = _unix_inode(address.path), os.stat(address.path).st_uid
    else:
        inode, uid = _tcp_inode(address.port)
    user = "" if uid is None else f" of user {_user(uid)}"
    pid = None if inode is None else _pid_with(inode)
    if pid is None:
        return f"held by a process{user}"
    argv = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return f"held by pid {pid}{user}: {argv[:200]}"


def _tcp_inode(port: int) -> tuple[str | None, int | None]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                return fields[9], int(fields[7])
    return None, None


def _unix_inode(path: str) -> str | None:
    for line in Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if fields[-1] == path:
            return fields[6]
    return None


def _pid_with(inode: str) -> int | None:
    wanted = f"socket:[{inode}]"
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.readlink(link) == wanted for link in (folder / "fd").iterdir()):
                return int(folder.name)
    return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
