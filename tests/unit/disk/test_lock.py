"""The lock: one holder at a time, named while it lives, reported once it is dead."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from segue.core.errors import Refused
from segue.disk.lock import held_for, hold, is_held

HOLD = """
import sys
from pathlib import Path
from segue.disk.lock import hold
with hold(Path(sys.argv[1]), "deploy 7"):
    print("held", flush=True)
    sys.stdin.read()
"""
LOOK = """
import sys
from pathlib import Path
from segue.disk.lock import is_held
print("looking", flush=True)
while True:
    is_held(Path(sys.argv[1]))
"""


@contextmanager
def running(script: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs `script` on the lock at `path`, and has said its first word."""
    argv = (sys.executable, "-c", script, str(path))
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_a_free_lock_has_no_dead_owner_and_is_free_again_after(lock: Path) -> None:
    assert not is_held(lock)
    for _ in range(2):
        with hold(lock, "deploy") as dead:
            assert dead is None
            assert is_held(lock)
        assert not is_held(lock)


def test_a_live_owner_is_named_and_not_disturbed(lock: Path) -> None:
    with running(HOLD, lock) as owner:
        with pytest.raises(Refused, match=r"deploy 7 is under way\.") as refused, hold(lock, "mine"):
            pass
        assert f"held by pid {owner.pid} of " in refused.value.evidence
        assert json.loads(lock.read_text())["pid"] == owner.pid
        assert is_held(lock)


def test_the_refusal_has_the_kind_and_the_hint_that_were_asked_for(lock: Path) -> None:
    with (
        running(HOLD, lock),
        pytest.raises(Refused) as refused,
        hold(lock, "mine", kind="running", hint="wait"),
    ):
        pass
    assert (refused.value.kind, refused.value.hint) == ("running", "wait")


def test_what_it_is_held_for_is_known_as_long_as_it_is(lock: Path) -> None:
    assert held_for(lock) == ""
    with running(HOLD, lock) as owner:
        assert held_for(lock) == "deploy 7"
        owner.kill()
        owner.wait()
        assert held_for(lock) == ""
    for left in ("", "[1]", "no json"):
        with hold(lock, "deploy 8"):
            lock.write_text(left)
            assert held_for(lock) == ""


def test_a_dead_owner_holds_nothing_and_is_reported_once(lock: Path) -> None:
    with running(HOLD, lock) as owner:
        owner.kill()
        owner.wait(10)
        assert not is_held(lock)
        with hold(lock, "mine") as dead:
            assert dead is not None
            assert (dead["what"], dead["pid"]) == ("deploy 7", owner.pid)
    with hold(lock, "mine") as dead:
        assert dead is None


def test_an_owner_that_failed_is_not_a_dead_one(lock: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(lock, "mine"):
        raise ZeroDivisionError
    with hold(lock, "mine") as dead:
        assert dead is None


@pytest.mark.parametrize("left", [b"\xff\x00", b"{", b"[" * 20_000, b"[1]", b'"x"'])
def test_whatever_stands_in_the_file_the_lock_can_be_had(lock: Path, left: bytes) -> None:
    lock.write_bytes(left)
    with hold(lock, "mine"):
        assert is_held(lock)


def test_looking_at_a_lock_never_keeps_anybody_from_it(lock: Path) -> None:
    with running(LOOK, lock):
        for _ in range(3000):
            with hold(lock, "mine"):
                pass
