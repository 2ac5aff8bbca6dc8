"""The build as a process of its own: one JSON spec on stdin, JSON lines on stdout, killed as a group.

A line is ``{"say": text}`` or ``{"note": text}`` while it works, and at last ``{"built": {...}}`` or
``{"error": {...}}``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segue.build.changes import packages_changed
from segue.build.declared import find_declared
from segue.build.python import choose_python
from segue.build.snapshot import WRITE_HINT, snapshot
from segue.build.source import Source
from segue.build.venv import build_venv
from segue.core.errors import Bug, Failed, SegueError
from segue.disk.processes import die_with_parent

NICENESS = 10


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    _print({"say": text})


def _note(text: str) -> None:
    _print({"note": text})


def _fail(error: SegueError) -> None:
    _print({"error": error.as_dict(), "exit_code": error.exit_code})


def build(spec: dict[str, Any]) -> dict[str, Any]:
    """Build the release that `spec` describes; how it turned out.

    Raises:
        SegueError: it could not be built.
    """
    project, release = Path(spec["project"]), Path(spec["release"])
    source = Source(**{**spec["source"], "folder": Path(spec["source"]["folder"])})
    files = snapshot(source, project, release, spec["shared"], _note)
    _say(f"{files} files copied")
    declared = None
    if spec["python"] is None:
        declared = find_declared(release, *(tuple(spec[key]) for key in ("extras", "groups", "servers")))
    python, own = choose_python(project, declared, spec["python"], spec["hidden"])
    if declared is not None:
        build_venv(declared, Path(spec["cache"]), _say)
    before = None if spec["before"] is None else Path(spec["before"])
    packages = packages_changed(release, before)
    return {"files": files, "python": str(python), "own_venv": own, "packages": packages}


def _die_with(executor: int) -> None:
    """End with all that was started when the executor ends: its successor starts from nothing."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    if not die_with_parent(executor, signal.SIGTERM):
        sys.exit("segue: who asked for this build is gone")


def main() -> None:
    """Build what stdin asks for."""
    answer(build, "The release could not be written")


def answer(work: Callable[[dict[str, Any]], dict[str, Any]], unwritten: str) -> None:
    """Have `work` done for the spec on stdin, and say how it went; `unwritten` tells of a refusing system."""
    os.nice(NICENESS)
    spec = json.loads(sys.stdin.readline())
    _die_with(spec["executor"])
    try:
        _print({"built": work(spec)})
    except SegueError as error:
        _fail(error)
    except OSError as error:
        message = f"{unwritten}: {error.strerror}."
        _fail(Failed("build", message, evidence=str(error), hint=WRITE_HINT))
    except Exception as error:  # noqa: BLE001 - without a word of it the executor could only guess
        _fail(Bug("bug", f"segue's build failed: {error!r}.", evidence=traceback.format_exc()))


if __name__ == "__main__":
    main()
