"""A generation's folder: how it is started, and what its gate says of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.core.errors import Stranded
from segue.disk.atomic import read_if_whole, read_json, write_json
from segue.disk.forms import MAYBE_TEXT, Form
from segue.disk.processes import ProcessId, parent_of, process
from segue.run.counters import Counts, read_counts

GATE = Path(__file__).with_name("gate")
EVIDENCE_LINES = 30
COUNT_TRIES = 100
SYNC_TIMEOUT = 5.0
LONGEST_PID = 7  # digits; Linux gives no more than 2**22
# in the environment of all that a generation starts: its folder, which no other on this machine has
MARK = "SEGUE_GENERATION_FOLDER"

_PROCESS: Form = {"pid": range(2, 2**22 + 1), "started": int}  # not init, up to the most that Linux gives
_START: Form = {
    "root": str,
    "argv": [str],
    "environ": dict,
    "unset": [str],
    "ready_timeout": float,
    "drain_timeout": float,
}
_BOOTED: Form = {"workers": int, "worker_class": str, "server": str, "version": str, "overruled": dict}
_CHECK: Form = {
    **dict.fromkeys(("path", "host", "scheme", "status"), str),
    "settled": bool,
    **dict.fromkeys(("location", "release", "traceback"), MAYBE_TEXT),
}


def gate_script(folder: Path) -> Path:
    """What is run of the gate in `folder`."""
    return folder / "gate" / "segue_gate" / "start.py"


def place_gate(folder: Path) -> None:
    """Put a copy of the gate into `folder`, so that an upgrade of segue can't change what runs."""
    shutil.copytree(GATE, gate_script(folder).parent, ignore=shutil.ignore_patterns("__pycache__"))


@dataclass(frozen=True)
class Generation:
    """One start of a release, seen through its folder.

    Attributes:
        name: its id, ``RELEASE.N``.
        folder: where its start, its gate's files and its log lie.
        unit: the systemd unit that it runs as, whose journal is its log; empty with the embedded keeper.
    """

    name: str
    folder: Path
    unit: str = ""

    @property
    def log(self) -> Path:
        """What its processes print, with the embedded keeper."""
        return self.folder / "log"

    @property
    def whole_log(self) -> str:
        """Where people find all that its processes print."""
        return f"`journalctl -u {self.unit}`" if self.unit else str(self.log)

    def prepare(self, start: dict[str, Any]) -> None:
        """Write down how to start it."""
        self.folder.mkdir(mode=0o700, parents=True)
        place_gate(self.folder)
        write_json(self.folder / "start.json", start)

    def start(self) -> dict[str, Any]:
        """How it is started.

        Raises:
            Stranded: nobody knows: the file is damaged, or not there.
        """
        document: dict[str, Any] | None = _needed(self.folder / "start.json", _START)
        if document is None:
            raise damaged(self.folder / "start.json", "it is not there")
        return document

    def gated(self) -> bool:
        """Whether its server runs behind the gate; else it is known by its answers alone."""
        return bool(self.start().get("gated", True))

    def workers(self) -> int:
        """How many workers its next master starts with, as far as that is known; 0 where it is not."""
        return int(self.start()["settings"].get("workers") or (self.booted() or {}).get("workers", 0))

    def set_workers(self, number: int) -> None:
        """Have its next master start with `number` workers, by an operator's wish that outlives it."""
        start = self.start()
        settings = {**start["settings"], "workers": number}
        write_json(self.folder / "start.json", {**start, "settings": settings, "scaled": number})

    def scaled(self) -> int | None:
        """The number of workers that `segue scale` asked for; None where the config's holds."""
        start: dict[str, Any] = read_if_whole(self.folder / "start.json", _START) or {}
        return start.get("scaled")

    def booted(self) -> dict[str, Any] | None:
        """What its master settled on (workers, worker class), once it has read its config."""
        document: dict[str, Any] | None = read_if_whole(self.folder / "booted.json", _BOOTED)
        return document

    def refused(self) -> dict[str, Any] | None:
        """Why its master would not start, where the gate knows."""
        form: Form = {"kind": str, "evidence": str}
        document: dict[str, Any] | None = read_if_whole(self.folder / "refused.json", form)
        return document

    def master(self) -> ProcessId | None:
        """Its master, alive or not; None before its first start.

        Raises:
            Stranded: nobody knows: the file is damaged.
        """
        document = _needed(self.folder / "master.json", _PROCESS)
        return None if document is None else _process(document)

    def earlier_masters(self) -> list[ProcessId]:
        """The masters before the present one that are still remembered."""
        documents = [read_if_whole(path, _PROCESS) for path in self._files("master")]
        return [_process(document) for document in documents if document is not None]

    def ready_workers(self) -> list[int]:
        """The pids of the workers of its present master that are ready."""
        master = self.master()
        pids = _pids(self._files("ready"))
        return [pid for pid in pids if master is not None and parent_of(pid) == master.pid]

    def surplus(self) -> list[int]:
        """The pids of the workers that leave, and that its master is not to replace."""
        return _pids(self._files("surplus"))

    def checks(self) -> list[dict[str, Any]]:
        """The last unhealthy answers that its workers' checks got."""
        answers = [read_if_whole(path, _CHECK) for path in self._files("check")]
        return [answer for answer in answers if answer is not None]

    def crashes(self) -> list[dict[str, Any]]:
        """Its workers that died without saying goodbye: ``{"held": requests, "at": time}`` each."""
        form: Form = {"held": int, "at": float}
        crashes = [read_if_whole(path, form) for path in self._files("crashed")]
        return [crash for crash in crashes if crash is not None]

    def counts(self) -> Counts:
        """What it has served, over all its workers, those that ended included."""
        return self._count(lambda _: True)

    def lost(self) -> int:
        """How many requests its workers that are no more had begun and not finished, whoever ended them."""
        counts = self._count(_has_ended)
        return max(0, counts.started - counts.finished)

    def _count(self, wanted: Callable[[Path], bool]) -> Counts:
        before = self._counters()
        # the app can write there too, and must not keep us busy for ever
        for _ in range(COUNT_TRIES):
            total = Counts()
            for path in filter(wanted, before):
                total += read_counts(path)
            # what a worker that ended meanwhile had served may have been read in both files
            if (now := self._counters()) == before:
                break
            before = now
        return total

    def _counters(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in self._files("counters"):
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                found[path] = (status.st_ino, 0 if path.suffix != ".ended" else status.st_mtime_ns)
        return found

    def told_to_go(self) -> bool:
        """Whether its workers may accept."""
        return (self.folder / "go").exists()

    def told_to_leave(self) -> bool:
        """Whether its end has been asked for."""
        return (self.folder / "no").exists() or (self.folder / "leaving").exists()

    def tell(self, word: str) -> None:
        """Leave one of the words ``go``, ``no``, ``aside``, ``leaving`` in its folder.

        Whatever has that name already stays: root must not write where a link of the app's leads to.
        """
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.folder / word, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))

    def take_back(self, word: str) -> None:
        """Take back what was told by `tell`."""
        (self.folder / word).unlink(missing_ok=True)

    def forget(self) -> None:
        """Take back what was said of an earlier master, before a new one starts; `go` stays.

        The master itself is remembered, for the workers that may have outlived it.
        """
        master = self.master()
        if master is not None:
            (self.folder / "master.json").rename(self.folder / f"master.{master.pid}")
        for word in ("leaving", "no", "booted.json", "refused.json"):
            (self.folder / word).unlink(missing_ok=True)
        for stem in ("ready", "check", "crashed", "surplus"):
            for path in self._files(stem):
                path.unlink(missing_ok=True)

    def forget_earlier_masters(self) -> None:
        """They left nobody behind."""
        for path in self._files("master"):
            path.unlink(missing_ok=True)

    def log_tail(self, lines: int = EVIDENCE_LINES) -> str:
        """The last `lines` lines of its log."""
        return journal_tail(self.unit, lines) if self.unit else tail(self.log, lines)

    def _files(self, stem: str) -> Iterator[Path]:
        for name in sorted(os.listdir(self.folder)):
            if name.startswith(f"{stem}.") and name.endswith((".ended", *"0123456789")):
                yield self.folder / name


def _pids(files: Iterable[Path]) -> list[int]:
    words = (path.suffix[1:] for path in files)
    return [int(word) for word in words if len(word) <= LONGEST_PID and word.isascii() and word.isdigit()]


def _has_ended(counters: Path) -> bool:
    """Whether what these count is over: of workers that were accounted for, or of one that is gone."""
    return not any(process(pid) for pid in _pids([counters]))


def _process(document: dict[str, Any]) -> ProcessId:
    return ProcessId(document["pid"], document["started"])


def _needed(path: Path, form: Form) -> Any:
    try:
        return read_json(path, form)
    except ValueError as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, evidence: str) -> Stranded:
    """That nobody knows what `path`, of a generation's folder, says; `evidence` tells why."""
    return Stranded(
        "generation",
        f"{path} is damaged.",
        evidence=evidence,
        hint="what serves still serves; move the file away once nothing of that generation runs",
    )


def journal_tail(unit: str, lines: int) -> str:
    """The last `lines` lines of the journal of `unit`; why there are none, where it can't be read."""
    return _journal("--unit", unit, "--lines", str(lines))


def _journal(*words: str) -> str:
    sync = ("journalctl", "--sync")
    # what was printed a moment ago may not have been written yet; no deploy is kept by a slow disk, though
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(sync, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=SYNC_TIMEOUT)
    argv = ("journalctl", "--output", "cat", "--no-pager", "--quiet", *words)
    found = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return (found.stdout or found.stderr).decode(errors="replace").strip()


def words_of(unit: str, lines: int) -> str:
    """The last `lines` lines that the processes of `unit` printed, without what systemd says of them."""
    return _journal(f"_SYSTEMD_UNIT={unit}", "--lines", str(lines))


def tail(path: Path, lines: int) -> str:
    """The last `lines` lines of the file at `path`, at most 64 KiB; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
