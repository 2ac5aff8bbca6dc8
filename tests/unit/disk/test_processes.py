"""A process is its pid and its start: neither a zombie nor a stranger with the same pid is the one meant."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.site import until

from segue.disk.processes import ProcessId, myself, parent_of, process

FOREVER = (sys.executable, "-c", "import signal; print(flush=True); signal.pause()")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(FOREVER, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline()
        yield child
        child.kill()


def identity(child: subprocess.Popen[bytes]) -> ProcessId:
    found = process(child.pid)
    assert found is not None
    return found


def test_this_process_is_alive_and_knows_its_parent() -> None:
    assert myself().pid == os.getpid()
    assert myself().alive()
    assert parent_of(os.getpid()) == os.getppid()


def test_a_child_is_alive_until_it_ends(child: subprocess.Popen[bytes]) -> None:
    found = identity(child)
    assert found.alive()
    assert parent_of(child.pid) == os.getpid()
    child.kill()
    child.wait(10)
    assert not found.alive()
    assert process(child.pid) is None
    assert parent_of(child.pid) is None


def test_a_zombie_is_not_alive(child: subprocess.Popen[bytes]) -> None:
    found = identity(child)
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not found.alive()
    assert not found.signal(signal.SIGTERM)
    assert process(child.pid) is None
    assert parent_of(child.pid) is None


def test_another_start_of_the_same_pid_is_not_alive_and_not_signalled(child: subprocess.Popen[bytes]) -> None:
    found = identity(child)
    earlier = ProcessId(found.pid, found.started - 1)
    assert not earlier.alive()
    assert not earlier.signal(signal.SIGKILL)
    assert found.alive()


def test_a_signal_reaches_the_one_that_is_meant(child: subprocess.Popen[bytes]) -> None:
    assert identity(child).signal(signal.SIGTERM)
    assert child.wait(10) == -signal.SIGTERM


def test_a_signal_to_one_that_is_gone_says_so(child: subprocess.Popen[bytes]) -> None:
    found = identity(child)
    child.kill()
    child.wait(10)
    assert not found.signal(signal.SIGTERM)


@pytest.mark.parametrize("name", ["a) R 1", "(((", "x y z", ") Z 0 0"])
def test_a_process_may_call_itself_anything(name: str) -> None:
    script = f"open('/proc/self/comm', 'w').write({name!r}); import signal; signal.pause()"
    with subprocess.Popen((sys.executable, "-c", script)) as child:
        try:
            found = identity(child)
            until(lambda: Path(f"/proc/{child.pid}/comm").read_text() == f"{name}\n", what="its new name")
            assert found.alive()
            assert parent_of(child.pid) == os.getpid()
        finally:
            child.kill()
