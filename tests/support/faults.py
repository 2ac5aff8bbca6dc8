"""What a machine may do to segue: no room on its disk, no descriptors, no memory."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.site import until

from segue.disk.processes import ProcessId

DISK = "size=48m,nr_inodes=4000"
MEMORY = Path("/sys/fs/cgroup/memory")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A small disk of its own at `folder`; a reason to skip where this user may not mount one."""
    folder.mkdir()
    mounting = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", DISK, "segue-test", str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )
    if mounting.returncode:
        pytest.skip(f"a disk that can be filled takes the right to mount one: {mounting.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Neither a byte nor a file more fits on `disk`."""
    filler = disk / "filler"
    filler.mkdir()
    with contextlib.suppress(OSError), (filler / "bytes").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with contextlib.suppress(OSError):
        for number in range(1 << 20):
            (filler / str(number)).touch()
    try:
        yield
    finally:
        subprocess.run(("rm", "-rf", str(filler)), check=True)


@contextlib.contextmanager
def limited(process: ProcessId, what: int, most: int) -> Iterator[None]:
    """`process`, and all that it starts meanwhile, has no more than `most` of a resource."""
    before = resource.prlimit(process.pid, what)
    resource.prlimit(process.pid, what, (most, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, what, before)


@contextlib.contextmanager
def little_memory(most: int) -> Iterator[Path]:
    """A memory cgroup of `most` bytes; a reason to skip where this user can't make one."""
    group = MEMORY / f"segue-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(most))
    except OSError as error:
        pytest.skip(f"killing for want of memory takes a memory cgroup (version 1) of our own: {error}")
    try:
        yield group
    finally:
        until(lambda: not (group / "cgroup.procs").read_text(), what="the end of all in it")
        group.rmdir()
