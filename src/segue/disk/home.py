"""The layout of a project's `.segue` folder: the one place that knows which file lies where."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.core.errors import Refused, Stranded
from segue.core.ids import earlier_id, is_generation_id, is_receipt_id, is_release_id, release_of
from segue.core.record import Record
from segue.disk.atomic import read_json, sync_folder, write_json
from segue.disk.forms import Form

_KEEPER: Form = {
    **dict.fromkeys(("pid", "started", "parent"), int),
    **dict.fromkeys(("version", "socket", "bind", "app", "since"), str),
}


@dataclass(frozen=True)
class Home:
    """Where everything of one project's lies.

    Attributes:
        project: the project's folder, resolved.
    """

    project: Path

    @property
    def root(self) -> Path:
        """The folder that holds everything segue keeps."""
        return self.project / ".segue"

    @property
    def code(self) -> Path:
        """The folder that holds the releases' code."""
        return self.root

    @property
    def env_file(self) -> Path:
        """What holds the app's secrets, if it is there."""
        return self.project / ".env"

    def unit(self, generation: str) -> str:
        """The systemd unit that `generation` runs and logs as; empty where the keeper is embedded."""
        del generation
        return ""

    @property
    def lock(self) -> Path:
        """The deploy lock."""
        return self.root / "lock"

    @property
    def keeper_lock(self) -> Path:
        """The lock that a running keeper holds."""
        return self.root / "keeper.lock"

    @property
    def keeper(self) -> Path:
        """How to reach the running keeper."""
        return self.root / "keeper.json"

    @property
    def events(self) -> Path:
        """The event log, JSON lines."""
        return self.root / "events.jsonl"

    @property
    def watched(self) -> Path:
        """What the last deploy took, for `segue up --watch`."""
        return self.root / "watched.json"

    @property
    def cache(self) -> Path:
        """What can be thrown away at any time."""
        return self.root / "cache"

    @property
    def current(self) -> Path:
        """A link to the live release, for people."""
        return self.code / "current"

    def release(self, release: str) -> Path:
        """The folder of `release`: its code, and its virtual environment in `.venv`."""
        return self.code / "releases" / release

    def release_state(self, release: str) -> Path:
        """The file that says in which state `release` is."""
        return self.root / "releases" / f"{release}.json"

    def generation(self, generation: str) -> Path:
        """The folder of `generation`: its start, its gate's files, its log."""
        return self.root / "generations" / generation

    def receipt(self, generation: str) -> Path:
        """The receipt of the deploy of `generation`."""
        return self.root / "receipts" / f"{generation}.json"

    def probe(self, generation: str) -> Path:
        """What the probe has measured of the deploy of `generation`, while that is under way."""
        return self.root / "receipts" / f"{generation}.probe"

    def timeline(self, generation: str) -> Path:
        """The probe's requests during the deploy of `generation`, one by one."""
        return self.root / "receipts" / f"{generation}.timeline"

    def receipts(self) -> list[Path]:
        """Every receipt's file, newest first."""
        files = (self.root / "receipts").glob("*.json")
        ours = (path for path in files if is_receipt_id(path.stem))
        return sorted(ours, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)

    def set_receipt_aside(self, generation: str) -> None:
        """Keep the receipt that `generation` has, which is brought in again, beside the one to come."""
        receipt, timeline = self.receipt(generation), self.timeline(generation)
        if not receipt.exists():
            return
        names = (earlier_id(generation, number) for number in itertools.count(1))
        name = next(name for name in names if not self.receipt(name).exists())
        if timeline.exists():
            timeline.rename(self.timeline(name))
        receipt.rename(self.receipt(name))

    @property
    def pages(self) -> Path:
        """Receipts as pages, made anew whenever somebody asks for one."""
        return self.root / "pages"

    def create(self) -> None:
        """Make the folders.

        Raises:
            Refused: the project's folder can't be written.
        """
        try:
            for folder in ("releases", "generations", "receipts", "cache"):
                (self.root / folder).mkdir(parents=True, exist_ok=True)
            (self.root / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise Refused(
                "unwritable",
                f"{self.root} can't be written: {error.strerror}.",
                evidence=_who_owns(self.project),
                hint="segue keeps everything in .segue of the project; run it as the project's owner",
            ) from error

    def releases(self) -> list[str]:
        """The ids of all releases on disk or still being built, oldest first."""
        return sorted(
            path.stem
            for path in (self.root / "releases").glob("*.json")
            if is_release_id(path.stem) and not path.name.startswith(".")
        )

    def stray_releases(self) -> list[str]:
        """The ids of releases that have a folder, but nothing says in which state they are."""
        folders = {path.name for path in (self.code / "releases").glob("*-*") if path.is_dir()}
        return sorted(name for name in folders - {*self.releases()} if is_release_id(name))

    def generations(self) -> list[str]:
        """The ids of all generations that have a folder."""
        folder = self.root / "generations"
        return (
            sorted(name for name in os.listdir(folder) if is_generation_id(name)) if folder.is_dir() else []
        )

    def read_record(self) -> Record:
        """The record; an empty one where nothing was ever deployed.

        Raises:
            Stranded: the file is damaged.
        """
        path = self.root / "record.json"
        try:
            document = read_json(path, dict)
            return Record() if document is None else Record.from_dict(document)
        except ValueError as error:
            raise Stranded(
                "record",
                f"{path} is damaged.",
                evidence=str(error),
                hint="nothing was touched; what serves still serves. Move the file away, then `segue up`",
            ) from error

    def write_record(self, record: Record) -> None:
        """Make `record` the durable truth."""
        write_json(self.root / "record.json", record.as_dict())

    def point_current(self, record: Record) -> None:
        """Let `current` follow the record, for people; nothing of segue's runs through it."""
        if record.live is None:
            return
        temporary = self.current.with_name(".current.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(Path("releases") / release_of(record.live))
        temporary.rename(self.current)
        sync_folder(self.code)

    def read_keeper(self) -> dict[str, Any] | None:
        """What the running keeper says of itself; None where none ever ran.

        Raises:
            Refused: the file is damaged.
        """
        try:
            document: dict[str, Any] | None = read_json(self.keeper, _KEEPER)
        except ValueError as error:
            raise Refused(
                "keeper_file",
                f"{self.keeper} is damaged, so the keeper can't be found.",
                evidence=str(error),
                hint="what serves still serves; stop `segue up` and start it again",
            ) from error
        return document

    def runtime_folder(self) -> Path:
        """The short folder for sockets: only this user can enter it.

        Raises:
            Refused: it can't be made, or something else has that name.
        """
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        digest = hashlib.sha256(os.fsencode(self.project)).hexdigest()[:12]
        folder = base / f"segue-{os.getuid()}" / digest
        for path in (folder.parent, folder):
            with contextlib.suppress(OSError):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_private(path):
                raise Refused(
                    "unsafe",
                    f"{path} is not a folder that only this user can enter.",
                    evidence=_who_owns(path),
                    hint="remove it, or set XDG_RUNTIME_DIR to a folder of your own",
                )
        return folder


def _is_private(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def _who_owns(path: Path) -> str:
    try:
        status = path.lstat()
    except OSError as error:
        return str(error)
    return (
        f"{path}: mode {stat.filemode(status.st_mode)}, owner uid {status.st_uid}, we are uid {os.getuid()}"
    )
