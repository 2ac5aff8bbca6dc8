"""Folders that root and the app's user both write to."""

from __future__ import annotations

import shutil
from pathlib import Path

# sticky: what root lays there is root's, and the app's user can't put its own in its place
_MODE = 0o1770


def lay_open(folder: Path, group: str) -> None:
    """Let `group` read what lies in root's `folder`, and leave files beside it."""
    for path in folder.rglob("*"):
        shutil.chown(path, "root", group)
        path.chmod(0o750 if path.is_dir() else 0o640)
    shutil.chown(folder, "root", group)
    folder.chmod(_MODE)
