"""What segue keeps of a service that it did not set up: receipts, a lock, what outlives us."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.disk.atomic import read_if_whole, write_json
from segue.disk.forms import Form
from segue.disk.processes import ProcessId

_PLACE = Path("/var/lib/segue-reload")
_ROLLING: Form = {"pid": int, "started": int, "count": int}
_READ: Form = {"pid": int, "started": int, "read_at": float}


@dataclass(frozen=True)
class State:
    """One unit's."""

    unit: str

    @property
    def folder(self) -> Path:
        """Where it is."""
        return _PLACE / self.unit

    @property
    def lock(self) -> Path:
        """Who reloads it now holds this."""
        return self.folder / "lock"

    @property
    def probe(self) -> Path:
        """What the probe says while it runs."""
        return self.folder / "probe.json"

    def receipt(self, name: str) -> Path:
        """Where the receipt of that name is kept."""
        return self.folder / "receipts" / f"{name}.json"

    def make(self) -> None:
        """Make the folders.

        Raises:
            OSError: they could not be made.
        """
        (self.folder / "receipts").mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self, master: ProcessId, count: int) -> None:
        """Remember how many workers `master` is to have, until `end`."""
        write_json(self.folder / "rolling.json", {**_of(master), "count": count})

    def end(self) -> None:
        """All workers are replaced, or none."""
        (self.folder / "rolling.json").unlink(missing_ok=True)

    def left_at(self, master: ProcessId) -> int | None:
        """How many workers `master` is to have, where somebody died while they were being replaced."""
        found = self._found("rolling.json", _ROLLING, master)
        return None if found is None else int(found["count"])

    def has_read(self, master: ProcessId, when: float) -> None:
        """Remember when `master` read its settings."""
        write_json(self.folder / "read.json", {**_of(master), "read_at": when})

    def read_at(self, master: ProcessId) -> float | None:
        """When `master` read its settings on our word; None where it never did."""
        found = self._found("read.json", _READ, master)
        return None if found is None else float(found["read_at"])

    def _found(self, name: str, form: Form, master: ProcessId) -> dict[str, Any] | None:
        found: dict[str, Any] | None = read_if_whole(self.folder / name, form)
        if found is None or (found["pid"], found["started"]) != (master.pid, master.started):
            return None
        return found


def _of(master: ProcessId) -> dict[str, int]:
    return {"pid": master.pid, "started": master.started}
