"""The room that a host stands in: it holds the host's disk, boots it, cuts its power, and clears up.

It is a script of the standard library alone, started in the host's network namespace and in a mount
namespace of its own, with a unix socket as its standard input. Each line there is a request: `boot` is
answered with the host's init, `cut` ends the host as a power cut does. The room ends with that socket: so
also when the test is killed. With it end the host and all mounts; killed itself, it leaves an empty cgroup,
which the next room removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

STDIN = 0
CGROUP = "segue-lab-"
BOOT_TIMEOUT, END_TIMEOUT = 30.0, 30.0
POLL = 0.01
# with its own pid namespace, everything in it dies with it; alone, nspawn leaves the host's init behind
NSPAWN = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
    *("systemd-nspawn", "--quiet", "--boot", "--machine=lab", "--register=no", "--keep-unit"),
    *("--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
    "--network-namespace-path=/proc/self/ns/net",
)


def main() -> None:
    """Serve the asker until it is gone."""
    place, *layers = map(Path, sys.argv[1:])
    held = [hold(layer) for layer in layers]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with own_cgroup():
        host = Host(lay_disk(place, layers))
        with socket.socket(fileno=STDIN) as control, control.makefile("rw") as lines:
            for line in lines:
                said = host.boot() if line == "boot\n" else host.cut()
                with contextlib.suppress(BrokenPipeError):
                    print(json.dumps(said), file=lines, flush=True)
        host.cut()
    for descriptor in held:
        os.close(descriptor)


def hold(layer: Path) -> int:
    """Keep that layer from being pruned; the descriptor that does."""
    descriptor = os.open(layer, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def lay_disk(place: Path, layers: list[Path]) -> Path:
    """A root over these layers, the uppermost first, with its changes in memory; nobody else sees it."""
    run("mount", "-t", "tmpfs", "-o", "mode=0700,size=4g", "segue-lab", str(place))
    upper, work, root = (place / name for name in ("upper", "work", "root"))
    for folder in (upper, work, root):
        folder.mkdir()
    lower = ":".join(map(str, layers))
    run(
        "mount",
        "-t",
        "overlay",
        "-o",
        f"lowerdir={lower},upperdir={upper},workdir={work}",
        "segue-lab",
        str(root),
    )
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    return root


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=END_TIMEOUT)


class Host:
    """A root folder, and the nspawn that runs it, if it runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.process: subprocess.Popen[bytes] | None = None

    def boot(self) -> dict[str, int | str]:
        """Boot it once its last run is over."""
        self._end(timeout=END_TIMEOUT)
        self.process = subprocess.Popen((*NSPAWN, f"--directory={self.root}"), stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + BOOT_TIMEOUT
        while time.monotonic() < deadline and self.process.poll() is None:
            for pid in grandchildren(self.process.pid):
                if is_init(pid):
                    return {"init": pid}
            time.sleep(POLL)
        return {"refused": "systemd-nspawn started no init"}

    def cut(self) -> dict[str, int | str]:
        """End it at once."""
        self._end(timeout=0.0)
        return {}

    def _end(self, timeout: float) -> None:
        if self.process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)
        # nspawn is its pid namespace's init: it is gone once all others there are
        for nspawn in children(self.process.pid):
            os.kill(nspawn, signal.SIGKILL)
        self.process.wait()
        self.process = None


def grandchildren(pid: int) -> Iterator[int]:
    """The children of a process's children."""
    for child in children(pid):
        yield from children(child)


def children(pid: int) -> list[int]:
    """The children of a process's main thread."""
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def is_init(pid: int) -> bool:
    """Whether it is the first process of a pid namespace in nspawn's own."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("NSpid:"))
        return len(line.split()) >= 4 and line.split()[-1] == "1"
    return False


@contextlib.contextmanager
def own_cgroup() -> Iterator[None]:
    """Be in a cgroup of one's own: systemd kills by cgroup, and two hosts in one would kill each other."""
    trees = list(systemd_trees())
    for tree in trees:
        sweep(tree)
        (tree / f"{CGROUP}{os.getpid()}").mkdir()
        (tree / f"{CGROUP}{os.getpid()}/cgroup.procs").write_text("0")
    try:
        yield
    finally:
        for tree in trees:
            (tree / "cgroup.procs").write_text("0")
            remove(tree / f"{CGROUP}{os.getpid()}")


def systemd_trees() -> Iterator[Path]:
    """The cgroup hierarchies in which systemd keeps its units."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            yield Path(where)


def sweep(tree: Path) -> None:
    """Remove what killed rooms left."""
    for left in tree.glob(f"{CGROUP}*"):
        if not Path("/proc", left.name.removeprefix(CGROUP)).exists():
            remove(left)


def remove(cgroup: Path) -> None:
    """Remove a cgroup and all in it, once its last processes are gone."""
    deadline = time.monotonic() + END_TIMEOUT
    while cgroup.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(cgroup, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        time.sleep(POLL)


if __name__ == "__main__":
    main()
