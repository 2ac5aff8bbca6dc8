"""A keeper that is gone, what it leaves, and a kernel that gives no descriptor out of another process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.support.site import Site, until

from segue.core.address import parse_address
from segue.disk.processes import ProcessId, process
from segue.embedded.listener import _tcp_inode
from segue.run import hold
from segue.run.generation import Generation

# seccomp(2): from here on pidfd_getfd is EPERM for the command and all that it starts, whoever it is
_FORBID = """
import ctypes, errno, os, struct, sys
LOAD, EQUAL, RETURN, ALLOW, REFUSE = 0x20, 0x15, 0x06, 0x7fff0000, 0x00050000 | errno.EPERM
steps = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, 438), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
prctl = ctypes.CDLL(None, use_errno=True).prctl
if prctl(38, 1, 0, 0, 0) or prctl(22, 2, program):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"""
WITHOUT_PTRACE = (sys.executable, "-c", _FORBID)


def holders_of(generation: Generation) -> list[ProcessId]:
    """The holders of `generation`: one for each of its masters, and for a moment longer."""
    found = [_holder(Path(folder), generation) for folder in Path("/proc").glob("[0-9]*")]
    return [holder for holder in found if holder is not None]


def holder_of(generation: Generation) -> ProcessId:
    """Its one holder."""
    until(lambda: len(holders_of(generation)) == 1, what="one holder")
    return holders_of(generation)[0]


def _holder(folder: Path, generation: Generation) -> ProcessId | None:
    try:
        words = os.fsdecode((folder / "cmdline").read_bytes()).split("\0")
    except OSError:
        return None
    ours = Path(hold.__file__).name in map(os.path.basename, words) and str(generation.folder) in words
    return process(int(folder.name)) if ours else None


def kill_keeper(site: Site) -> None:
    """Kill its parent, and wait until its controller has followed."""
    controller = site.controller()
    site.process.kill()
    site.process.wait()
    until(lambda: not controller.alive(), what="the end of the controller")


def listening_inode(bind: str) -> str:
    """The number of the one socket that listens on `bind`."""
    address = parse_address(bind)
    inode, _ = _tcp_inode(address.host, address.port)
    assert inode is not None
    return inode
