"""One who migrates a database at a time, whoever deploys from wherever: a lock that goes with its holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from typing import Any

POLL = 0.2
# seconds: those who come after one who waits for a lock wait behind it
LOCK_TIMEOUT = 1
LOCK_TRIES = 10
LOCK_NOT_AVAILABLE = "55P03"
# any number will do that nobody else is likely to take: "segue" in ASCII
ADVISORY_KEY = 0x7365677565


class Locked(Exception):
    """Somebody else migrates this database, and did not finish in time."""


def lock_postgresql(execute: Callable[[str], Any], deadline: float) -> None:
    """Take the advisory lock of the database in the session that `execute` asks.

    Raises:
        Locked: it could not be had before `deadline`, by the monotonic clock.
    """
    _poll(lambda: bool(execute(f"SELECT pg_try_advisory_lock({ADVISORY_KEY})")), deadline)


def lock_file(database: str, deadline: float) -> None:
    """Take the lock beside the SQLite file `database`, until this process ends.

    Raises:
        Locked: it could not be had before `deadline`, by the monotonic clock.
    """
    # the database itself must not be opened here: closing it would drop the locks that SQLite has on it
    path = f"{os.path.realpath(database)}.migrating"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    _poll(lambda: _try(descriptor), deadline)


def patiently(migrate: Callable[[], None]) -> None:
    """Do `migrate`, again and again where PostgreSQL did not give it a lock in `LOCK_TIMEOUT`."""
    for tries_left in reversed(range(LOCK_TRIES)):
        try:
            migrate()
        except Exception as error:
            # SQLAlchemy's attribute, Django's cause; psycopg's name for it, psycopg2's
            cause = getattr(error, "orig", None) or error.__cause__ or error
            code = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
            if code != LOCK_NOT_AVAILABLE or not tries_left:
                raise
            time.sleep(LOCK_TIMEOUT)
        else:
            return


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _poll(taken: Callable[[], bool], deadline: float) -> None:
    while not taken():
        if time.monotonic() > deadline:
            raise Locked("another migration of this database is under way")
        time.sleep(POLL)
