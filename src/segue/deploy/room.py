"""Room on the disk for one more release: looked at before anything is built."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from segue.core.errors import Refused
from segue.core.ids import release_of

if TYPE_CHECKING:
    from segue.deploy.run import Run

# bytes, for what is written beside the release: logs, receipts, the record
LEAST = 8 << 20
_BLOCK = 512  # st_blocks counts in these, whatever the disk's own are (stat(2))


def demand_room(run: Run) -> None:
    """Refuse to build where another release of the live one's size would fill the disk.

    Raises:
        Refused: there is no room, even without what the config has no use for.
    """
    releases, live = run.site.releases, run.record.live
    folder = run.site.home.release(run.plan.release).parent
    needed = LEAST + (0 if live is None else taken(run.site.home.release(release_of(live))))
    if free(folder) >= needed:
        return
    releases.prune(run.config.keep, run.record)
    if (left := free(folder)) < needed:
        raise Refused(
            "disk",
            f"The disk has {size(left)} left, and another release takes {size(needed)}.",
            evidence=_spare(run),
            hint=f"a smaller `keep` (now {run.config.keep}) in segue.toml frees the oldest; else make room",
        )


def _spare(run: Run) -> str:
    """What a smaller `keep` would free, and how much."""
    needed = {release_of(name) for name in (run.record.live, run.record.previous) if name}
    spare = [name for name in run.site.home.releases() if name not in {*needed, run.plan.release}]
    lines = [f"{name}  {size(taken(run.site.home.release(name)))}" for name in spare]
    return "\n".join(["releases that could go:", *lines]) if lines else "no release could go"


def free(folder: Path) -> int:
    """The bytes that are left to us on the disk of `folder`, or of the nearest folder above that is there."""
    while not folder.exists():
        folder = folder.parent
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def taken(folder: Path) -> int:
    """The bytes of `folder` that are its own: what is linked from a cache as well is not."""
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
