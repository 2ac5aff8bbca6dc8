"""One migrates an SQLite file at a time; the lock goes with its holder, however that ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.site import until

from segue.run.gate.database_lock import LOCK_TRIES, Locked, lock_file, patiently

HOLDS = """
import sys, time
from segue.run.gate.database_lock import lock_file
lock_file(sys.argv[1], time.monotonic() + 10)
print("held", flush=True)
time.sleep(600)
"""


def test_who_comes_second_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    database, link = tmp_path / "shop.db", tmp_path / "link.db"
    link.symlink_to(database)
    argv = (sys.executable, "-c", HOLDS, str(database))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(Locked):
                lock_file(str(link), time.monotonic())
        finally:
            holder.kill()
    until(lambda: holder.poll() is not None)
    lock_file(str(link), time.monotonic() + 10)


class NoLock(Exception):
    sqlstate = "55P03"


def test_a_lock_that_was_not_had_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segue.run.gate.database_lock.LOCK_TIMEOUT", 0)
    tried: list[int] = []

    def migrate() -> None:
        tried.append(1)
        if len(tried) < LOCK_TRIES:
            raise NoLock

    patiently(migrate)
    assert len(tried) == LOCK_TRIES
    tried.append(0)
    with pytest.raises(NoLock):
        patiently(lambda: (_ for _ in ()).throw(NoLock()))
