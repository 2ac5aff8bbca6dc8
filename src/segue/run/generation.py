"""A generation's folder: how it is started, and what its gate says of it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.disk.atomic import read_json, write_json
from segue.disk.processes import ProcessId, parent_of
from segue.run.counters import Counts, read_counts

GATE = Path(__file__).with_name("gate.py")
EVIDENCE_LINES = 30


@dataclass(frozen=True)
class Generation:
    """One start of a release, seen through its folder.

    Attributes:
        name: its id, ``RELEASE.N``.
        folder: where its start, its gate's files and its log lie.
    """

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """What its processes print."""
        return self.folder / "log"

    @property
    def gate(self) -> Path:
        """Its own copy of the gate, so that an upgrade of segue can't change a generation that runs."""
        return self.folder / "gate.py"

    def prepare(self, start: dict[str, Any]) -> None:
        """Write down how to start it."""
        self.folder.mkdir(mode=0o700, parents=True)
        shutil.copyfile(GATE, self.gate)
        write_json(self.folder / "start.json", start)

    def start(self) -> dict[str, Any]:
        """How it is started."""
        document: dict[str, Any] = read_json(self.folder / "start.json") or {}
        return document

    def booted(self) -> dict[str, Any] | None:
        """What its master settled on (workers, worker class), once it has read its config."""
        document: dict[str, Any] | None = read_json(self.folder / "booted.json")
        return document

    def refused(self) -> dict[str, Any] | None:
        """Why its master would not start, where the gate knows."""
        document: dict[str, Any] | None = read_json(self.folder / "refused.json")
        return document

    def master(self) -> ProcessId | None:
        """Its master, alive or not; None before its first start."""
        document = read_json(self.folder / "master.json")
        return None if document is None else ProcessId(document["pid"], document["started"])

    def earlier_masters(self) -> list[ProcessId]:
        """The masters before the present one that are still remembered."""
        documents = [read_json(path) for path in self._files("master")]
        return [ProcessId(document["pid"], document["started"]) for document in documents if document]

    def ready_workers(self) -> list[int]:
        """The pids of the workers of its present master that are ready."""
        master = self.master()
        pids = [int(path.suffix[1:]) for path in self._files("ready")]
        return [pid for pid in pids if master is not None and parent_of(pid) == master.pid]

    def checks(self) -> list[dict[str, Any]]:
        """The last unhealthy answers that its workers' checks got."""
        return [answer for path in self._files("check") if (answer := read_json(path)) is not None]

    def crashes(self) -> list[dict[str, Any]]:
        """Its workers that died without saying goodbye: ``{"held": requests, "at": time}`` each."""
        return [crash for path in self._files("crashed") if (crash := read_json(path)) is not None]

    def counts(self) -> Counts:
        """What it has served, over all its workers, those that ended included."""
        before = self._counters()
        while True:
            total = Counts()
            for path in before:
                total += read_counts(path)
            # what a worker that ended meanwhile had served may have been read in both files
            if (now := self._counters()) == before:
                return total
            before = now

    def _counters(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in self._files("counters"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found[path] = (status.st_ino, 0 if path.suffix != ".ended" else status.st_mtime_ns)
        return found

    def told_to_go(self) -> bool:
        """Whether its workers may accept."""
        return (self.folder / "go").exists()

    def told_to_leave(self) -> bool:
        """Whether its end has been asked for."""
        return (self.folder / "no").exists() or (self.folder / "leaving").exists()

    def tell(self, word: str) -> None:
        """Leave one of the words ``go``, ``no``, ``leaving`` in its folder."""
        (self.folder / word).touch()

    def forget(self) -> None:
        """Take back what was said of an earlier master, before a new one starts; `go` stays.

        The master itself is remembered, for the workers that may have outlived it.
        """
        master = self.master()
        if master is not None:
            (self.folder / "master.json").rename(self.folder / f"master.{master.pid}")
        for word in ("leaving", "no", "booted.json", "refused.json"):
            (self.folder / word).unlink(missing_ok=True)
        for stem in ("ready", "check", "crashed"):
            for path in self._files(stem):
                path.unlink(missing_ok=True)

    def forget_earlier_masters(self) -> None:
        """They left nobody behind."""
        for path in self._files("master"):
            path.unlink(missing_ok=True)

    def log_tail(self, lines: int = EVIDENCE_LINES) -> str:
        """The last `lines` lines of its log."""
        return tail(self.log, lines)

    def _files(self, stem: str) -> Iterator[Path]:
        for name in sorted(os.listdir(self.folder)):
            if name.startswith(f"{stem}.") and not name.endswith((".json", ".new")):
                yield self.folder / name


def tail(path: Path, lines: int) -> str:
    """The last `lines` lines of the file at `path`, at most 64 KiB; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
