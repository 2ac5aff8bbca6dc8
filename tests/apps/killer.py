"""Kills processes of a server's deploy at an instant: ``killer.py EVENTS OFFSET STEP WORD...``, as root.

Once the events after OFFSET say that STEP begins, it kills the process whose command line has the first WORD;
then, as soon as there is one, that with the second, and so on.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

TIMEOUT, POLL = 90.0, 0.002


def begun(path: str, offset: int, step: str) -> bool:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            lines = [json.loads(line) for line in file.read().split(b"\n")[:-1]]
    except FileNotFoundError:
        return False
    return any((line.get("event"), line.get("name")) == ("step", step) for line in lines)


def found(word: bytes) -> int | None:
    """The oldest process that has it, but for the sudo that runs it."""
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        if pid != os.getpid():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                if word in words and words[0] != b"sudo":
                    return pid
            except OSError:
                continue
    return None


def main() -> None:
    path, offset, step, *words = sys.argv[1:]
    deadline = time.monotonic() + TIMEOUT
    while not begun(path, int(offset), step):
        if time.monotonic() > deadline:
            sys.exit(f"{step} never began")
        time.sleep(POLL)
    for word in words:
        while (pid := found(word.encode())) is None:
            if time.monotonic() > deadline:
                sys.exit(f"there is no {word}")
            time.sleep(POLL)
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
