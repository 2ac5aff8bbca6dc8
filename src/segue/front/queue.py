"""Who is connected to a unix socket: those that its server has accepted, and those that still queue."""

from __future__ import annotations

from pathlib import Path

# the kernel's table of unix sockets; a connection has the path of the socket that it was made to
_TABLE = Path("/proc/net/unix")
_LISTENING = 0x10000
_QUEUED = "02"
_COLUMNS = 7


def connected(socket: Path, table: Path = _TABLE) -> int:
    """How many connections `socket` has, accepted or queued.

    Raises:
        OSError: the kernel's table can't be read.
    """
    return len(_states(socket, table))


def queued(socket: Path, table: Path = _TABLE) -> int:
    """How many connections `socket` has that its server has not accepted yet.

    Raises:
        OSError: the kernel's table can't be read.
    """
    return _states(socket, table).count(_QUEUED)


def _states(socket: Path, table: Path) -> list[str]:
    rows = (line.split(maxsplit=_COLUMNS) for line in table.read_text(errors="replace").splitlines()[1:])
    ours = (row for row in rows if len(row) > _COLUMNS and row[_COLUMNS] == str(socket))
    return [row[5] for row in ours if not int(row[3], 16) & _LISTENING]
