"""Which folder is the project. Free of pydantic: `segue status` has to feel instant."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

CONFIG_FILE = "segue.toml"
PYPROJECT = "pyproject.toml"
STATE_FOLDER = ".segue"


def find_project(start: Path) -> Path:
    """The nearest of `start` and its ancestors that is a project, else `start` itself; symlinks are resolved.

    A project has a segue.toml, a pyproject.toml with ``[tool.segue]``, or a .segue folder.
    """
    start = Path(os.path.realpath(start))
    return next((folder for folder in (start, *start.parents) if _is_project(folder)), start)


def _is_project(folder: Path) -> bool:
    return (
        os.path.lexists(folder / CONFIG_FILE)
        or os.path.isdir(folder / STATE_FOLDER)
        or _has_segue_table(folder / PYPROJECT)
    )


def _has_segue_table(pyproject: Path) -> bool:
    try:
        raw = pyproject.read_bytes()
    except OSError:
        return False
    if b"segue" not in raw:
        return False
    try:
        tool = tomllib.loads(raw.decode()).get("tool")
    except (ValueError, RecursionError):
        # Broken, but meant for segue: it is the project, and loading it says what is wrong.
        return b"[tool.segue" in raw
    return isinstance(tool, dict) and "segue" in tool
