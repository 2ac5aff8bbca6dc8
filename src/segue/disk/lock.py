"""A lock with an owner. The kernel's flock is the proof of death: it goes with its holder, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segue.core.errors import Refused


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
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _locked(_owner(descriptor), kind, hint) from None
        dead = _owner(descriptor)
        _write(descriptor, {"what": what, "pid": os.getpid(), "user": _user(), "since": _now()})
        yield dead
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
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


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
    except ValueError:
        return {"what": "something unreadable"}
    return document if isinstance(document, dict) else None


def _write(descriptor: int, owner: dict[str, Any] | None) -> None:
    os.ftruncate(descriptor, 0)
    if owner is not None:
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
