"""A lock with an owner. The kernel's lock is the proof of death: it goes with its holder, however it ends.

It is an open file description's lock, because those can be asked about without being taken for an instant.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segue.core.errors import Refused

_FLOCK = struct.Struct("hhqqi0q")


@contextlib.contextmanager
def hold(path: Path, what: str, *, kind: str = "locked", hint: str = "") -> Iterator[dict[str, Any] | None]:
    """Hold the lock at `path` for `what`, such as ``"deploy 20261121T013455-8c1f2e9.1"``.

    Yields:
        The owner who left the lock behind when it died, or None.

    Raises:
        Refused: somebody alive holds it; the message names them.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            _lock(descriptor, fcntl.F_OFD_SETLK)
        except BlockingIOError:
            raise _locked(_owner(descriptor), kind, hint) from None
        dead = _owner(descriptor)
        _write(descriptor, {"what": what, "pid": os.getpid(), "user": user_name(), "since": _now()})
        try:
            yield dead
        finally:
            _write(descriptor, None)
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody alive holds the lock at `path`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return _lock(descriptor, fcntl.F_OFD_GETLK) != fcntl.F_UNLCK
    finally:
        os.close(descriptor)


def held_for(path: Path) -> str:
    """What somebody alive holds the lock at `path` for; empty where nobody does, or has not said so yet."""
    if not is_held(path):
        return ""
    try:
        owner = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return ""
    return str(owner.get("what")) if isinstance(owner, dict) else ""


def _lock(descriptor: int, command: int) -> int:
    """Take the whole file, or ask who has it, by fcntl(2)'s `command`; the type of lock that it answers."""
    answer = fcntl.fcntl(descriptor, command, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    return int(_FLOCK.unpack(answer)[0])


def _locked(owner: dict[str, Any] | None, kind: str, hint: str) -> Refused:
    if owner is None:
        return Refused(kind, "Another process holds the lock and is alive.", hint=hint)
    return Refused(
        kind,
        f"{owner.get('what')} is under way.",
        evidence=f"held by pid {owner.get('pid')} of {owner.get('user')}, alive, since {owner.get('since')}",
        hint=hint,
    )


def _owner(descriptor: int) -> dict[str, Any] | None:
    try:
        document = json.loads(os.pread(descriptor, 65536, 0) or b"null")
    except (ValueError, RecursionError):
        return {"what": "something unreadable"}
    return document if isinstance(document, dict) else None


def _write(descriptor: int, owner: dict[str, Any] | None) -> None:
    os.ftruncate(descriptor, 0)
    if owner is not None:
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)


def user_name() -> str:
    """Who we are, for people; the number where it has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
