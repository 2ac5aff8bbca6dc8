"""Room on the disk for one more release: looked at before anything is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segue.core.errors import Refused
from segue.core.ids import release_of
from segue.disk.space import free, size, taken

if TYPE_CHECKING:
    from segue.deploy.run import Run

# bytes, for what is written beside the release: logs, receipts, the record
LEAST = 8 << 20


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
