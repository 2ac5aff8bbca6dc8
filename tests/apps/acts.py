"""Tries what an app may and may not do, and writes down what came of each: ``acts.py OUTPUT``."""

import ctypes
import json
import mmap
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
GENERATIONS = "/var/lib/segue/shop/generations"
OWN, OTHER = "20261121T013455-8c1f2e9.1", "20261121T013455-8c1f2e9.2"
RELEASE = "/srv/shop/releases/20261121T013455-8c1f2e9"


def _call(code: int) -> None:
    if code == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write(path: str) -> None:
    pathlib.Path(path).write_text("x")


def _relink(path: str) -> None:
    os.symlink("elsewhere", f"{path}.new")
    os.rename(f"{path}.new", path)


def _ptrace() -> None:
    pid = os.fork()
    if pid == 0:
        os.execv("/bin/sleep", ["sleep", "60"])
    try:
        _call(LIBC.ptrace(16, pid, 0, 0))  # PTRACE_ATTACH
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _mount() -> None:
    _call(LIBC.mount(b"none", b"/mnt", b"tmpfs", 0, None))
    _call(LIBC.umount2(b"/mnt", 0))


def _unshare() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(LIBC.unshare(0x10000000) != 0)  # CLONE_NEWUSER
    if os.waitpid(pid, 0)[1]:
        raise PermissionError("unshare")


def _in_child(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def _setuid_file() -> None:
    path = f"{GENERATIONS}/{OWN}/suid"
    _write(path)
    os.chmod(path, 0o4755)


FORBIDDEN: dict[str, Callable[[], object]] = {
    "write /etc": lambda: _write("/etc/acts"),
    "write /run": lambda: _write("/run/acts"),
    "write /usr": lambda: _write("/usr/acts"),
    "write segue": lambda: _write("/opt/segue/acts"),
    "write the release": lambda: _write(f"{RELEASE}/wsgi.py"),
    "add a release": lambda: os.mkdir("/srv/shop/releases/mine"),
    "write the record": lambda: _write("/var/lib/segue/shop/record.json"),
    "write another generation": lambda: _write(f"{GENERATIONS}/{OTHER}/go"),
    "re-point the link": lambda: _relink("/run/segue/shop/front/live.sock"),
    "unlink the link": lambda: os.unlink("/run/segue/shop/front/live.sock"),
    "unlink another's socket": lambda: os.unlink(f"/run/segue/shop/{OTHER}/http.sock"),
    "read another app's environment": lambda: pathlib.Path("/etc/blog.env").read_text(),
    "read people's folders": lambda: os.listdir("/home/deploy"),
    "ptrace": _ptrace,
    "mount": _mount,
    "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
    "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM).close(),
    "become root": lambda: os.setuid(0),
    "sudo": lambda: _in_child("sudo", "-n", "true"),
    "a setuid file": _setuid_file,
    "a namespace": _unshare,
    "memory written and run": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC).close(),
    "signal init": lambda: os.kill(1, 0),
}


def _talk() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())


ALLOWED: dict[str, Callable[[], object]] = {
    "write its data": lambda: _write("/srv/shop/shared/acts"),
    "write its generation": lambda: _write(f"{GENERATIONS}/{OWN}/ready.1"),
    "write /tmp": lambda: _write("/tmp/acts"),
    "TCP": _talk,
    "a unix socket": lambda: socket.socket(socket.AF_UNIX).close(),
    "a process": lambda: _in_child("true"),
}


def main() -> None:
    """Try everything."""
    came = {}
    for name, act in (FORBIDDEN | ALLOWED).items():
        try:
            act()
            came[name] = "done"
        except (OSError, subprocess.CalledProcessError) as error:
            came[name] = f"refused: {error}"
    came["environment"] = os.environ.get("WHOSE", "")
    pathlib.Path(sys.argv[1]).write_text(json.dumps([came, list(FORBIDDEN), list(ALLOWED)]))


if __name__ == "__main__":
    main()
