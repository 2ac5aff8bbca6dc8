"""What lies on a disk, in bytes, and what is left of it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_BLOCK = 512  # st_blocks counts in these, whatever the disk's own are (stat(2))


def free(folder: Path) -> int:
    """The bytes that are left to us on the disk of `folder`, or of the nearest folder above that is there."""
    while not folder.exists():
        folder = folder.parent
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def taken(folder: Path) -> int:
    """The bytes of `folder` that are its own: a file that is linked from elsewhere as well is not."""
    total = 0
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(FileNotFoundError):  # Python's own temporary files come and go
                status = os.lstat(os.path.join(parent, name))
                total += status.st_blocks * _BLOCK * (status.st_nlink == 1 or name in folders)
    return total


def size(number: int) -> str:
    """`number` of bytes for people: ``"84 MB"``."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"  # noqa: PLR2004 - a billion
