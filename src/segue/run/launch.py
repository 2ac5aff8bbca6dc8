"""The launcher: becomes the app's server. No shell, and no moment in which nobody knows of it.

Run as ``python -I -S launch.py FOLDER KEEPER_PID DIRECTORY ARGV...``, with the listening socket as
descriptor 3. It leaves a holder of that socket beside itself (see hold.py). Until its pid is on disk it dies
with its keeper; from then on it outlives it.
"""

import ctypes
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
HOLD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hold.py")


def _die_with_parent(number: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def _leave_a_holder(folder: str) -> None:
    """Come back when it listens. It has said why where it can't: the app is served without it."""
    master = os.pidfd_open(os.getpid())
    os.set_inheritable(master, True)
    argv = (sys.executable, "-I", "-S", HOLD, folder, str(master))
    os.waitpid(os.posix_spawn(argv[0], argv, os.environ, setsid=True), 0)
    os.close(master)


def _remember(folder: str) -> None:
    with open("/proc/self/stat", encoding="utf-8") as file:
        started = int(file.read().rpartition(")")[2].split()[19])
    path = os.path.join(folder, "master.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), "started": started}, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)


def main() -> None:
    """Remember this process in FOLDER, then become ARGV."""
    folder, keeper, directory, *argv = sys.argv[1:]
    _die_with_parent(signal.SIGKILL)
    if os.getppid() != int(keeper):
        sys.exit("the keeper is gone")
    os.chdir(directory)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = "1"
    # Gunicorn would put it above the gate; the gate reads it, and overrules in it what segue owns
    if "GUNICORN_CMD_ARGS" in os.environ:
        os.environ["SEGUE_GUNICORN_CMD_ARGS"] = os.environ.pop("GUNICORN_CMD_ARGS")
    _leave_a_holder(folder)
    _remember(folder)
    _die_with_parent(0)
    os.execve(argv[0], argv, os.environ)  # noqa: S606 - no shell is what is wanted


if __name__ == "__main__":
    main()
