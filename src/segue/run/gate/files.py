"""The files in the generation's folder, and what its ``start.json`` asks for."""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from typing import Any, NoReturn

# GENERATION/gate/segue_gate/files.py
FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POLL = 0.02


def path(name: str) -> str:
    """Where the file `name` lies."""
    return os.path.join(FOLDER, name)


def read(name: str) -> Any:
    """The document in the file `name`."""
    with open(path(name), encoding="utf-8") as file:
        return json.load(file)


def write(name: str, document: Any) -> None:
    """Put `document` into the file `name`, all or nothing."""
    temporary = path(f".{name}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(document, file)
    os.rename(temporary, path(name))


def there(name: str) -> bool:
    """Whether there is a file `name`."""
    return os.path.exists(path(name))


def take(name: str) -> bool:
    """Take the file `name` away; whether it was there."""
    try:
        os.unlink(path(name))
    except FileNotFoundError:
        return False
    return True


@functools.cache
def start() -> dict[str, Any]:
    """What to start, and how."""
    document: dict[str, Any] = read("start.json")
    return document


def refuse(kind: str, evidence: str) -> NoReturn:
    """Say why this generation will not start, and end this process.

    The status is the one by which Gunicorn and Uvicorn know that a worker failed to boot: their master ends
    instead of starting another.
    """
    write("refused.json", {"kind": kind, "evidence": evidence})
    sys.exit(3)


def time_left() -> float:
    """The seconds until the keeper gives up; one that comes later, where all serve, has the whole time."""
    limit = float(start()["ready_timeout"])
    if there("go"):
        return limit
    began = float(read("master.json")["started"]) / os.sysconf("SC_CLK_TCK")
    return max(POLL, limit + began - time.clock_gettime(time.CLOCK_BOOTTIME))
