"""Who is connected to a unix socket: those that its server has accepted, and those that still queue."""

from __future__ import annotations

from pathlib import Path

# the kernel's table of unix sockets; a connection has the path of the socket that it was made to
_TABLE = Path("/proc/net/unix")
_LISTENING = 0x10000
_COLUMNS = 7


def connected(socket: Path, table: Path = _TABLE) -> int:
    """How many connections `socket` has, accepted or queued.

    Raises:
        OSError: the kernel's table can't be read.
    """
    rows = (line.split(maxsplit=_COLUMNS) for line in table.read_text(errors="replace").splitlines()[1:])
    return sum(
        len(row) > _COLUMNS and row[_COLUMNS] == str(socket) and not int(row[3], 16) & _LISTENING
        for row in rows
    )
