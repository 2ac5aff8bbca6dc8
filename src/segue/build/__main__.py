"""The build as a process of its own: one JSON spec on stdin, JSON lines on stdout, killed as a group.

A line is ``{"say": text}`` while it works, and at last ``{"built": {...}}`` or ``{"error": {...}}``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from segue.build.snapshot import snapshot
from segue.build.source import Source
from segue.build.venv import build_venv, choose_python
from segue.core.errors import SegueError

NICENESS = 10


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    _print({"say": text})


def build(spec: dict[str, Any]) -> dict[str, Any]:
    """Build the release that `spec` describes; how it turned out.

    Raises:
        SegueError: it could not be built.
    """
    project, release = Path(spec["project"]), Path(spec["release"])
    source = Source(**{**spec["source"], "folder": Path(spec["source"]["folder"])})
    files = snapshot(source, project, release, spec["shared"])
    _say(f"{files} files copied")
    python, own = choose_python(project, release, spec["python"])
    if own:
        build_venv(release, Path(spec["cache"]), _say)
    return {"files": files, "python": str(python), "own_venv": own}


def main() -> None:
    """Build what stdin asks for."""
    os.nice(NICENESS)
    try:
        _print({"built": build(json.loads(sys.stdin.readline()))})
    except SegueError as error:
        _print({"error": error.as_dict(), "exit_code": error.exit_code})
    except OSError as error:
        failed = {
            "kind": "build",
            "message": f"The release could not be written: {error}.",
            "evidence": "",
            "hint": "",
        }
        _print({"error": failed, "exit_code": 1})


if __name__ == "__main__":
    main()
