"""Looks again and again who runs what in segue's units, until the file that its argument names is there.

Prints a JSON list of [unit, user, command line].
"""

from __future__ import annotations

import json
import os
import pwd
import sys
import time

TIMEOUT, POLL = 240.0, 0.004


def look(name: str) -> tuple[str, str, str] | None:
    try:
        with open(f"/proc/{name}/cgroup", encoding="utf-8") as file:
            unit = next((part for part in file.read().strip().split("/") if part.endswith(".service")), "")
        if not unit.startswith("segue-"):
            return None
        with open(f"/proc/{name}/cmdline", "rb") as file:
            words = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        return (unit, pwd.getpwuid(os.stat(f"/proc/{name}").st_uid).pw_name, words) if words else None
    except (OSError, KeyError):
        return None


def main() -> None:
    seen: set[tuple[str, str, str]] = set()
    deadline = time.monotonic() + TIMEOUT
    while not os.path.exists(sys.argv[1]) and time.monotonic() < deadline:
        seen |= {one for name in os.listdir("/proc") if name.isdigit() and (one := look(name))}
        time.sleep(POLL)
    json.dump(sorted(seen), sys.stdout)


if __name__ == "__main__":
    main()
