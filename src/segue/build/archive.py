"""Archives as sources: .tar.gz and .zip, from wherever; no member of one gets out of the release."""

from __future__ import annotations

import functools
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from segue.core.errors import Failed, UsageError

MOST_BYTES = 2 << 30
MOST_MEMBERS = 200_000
_LONGEST_LINK = 4096
_CHUNK = 1 << 20

_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
    # an encrypted member, and a way of packing that nobody knows
    *(RuntimeError, NotImplementedError, ValueError),
)


@dataclass(frozen=True)
class _Member:
    """One entry: a folder, a file that can be opened, or a link to `goal`."""

    name: str
    mode: int
    open: Callable[[], IO[bytes]] | None = None
    goal: str = ""


def demand_archive(path: Path) -> None:
    """See to it that the file `path` is an archive.

    Raises:
        UsageError: it is none.
    """
    if not (tarfile.is_tarfile(path) or zipfile.is_zipfile(path)):
        hint = "--path takes a folder, a .tar.gz, a .zip, or the URL of a git repository"
        raise UsageError(
            "path", f"{path} is no archive.", evidence="it is neither a tar nor a zip", hint=hint
        )


def unpack(archive: Path, release: Path) -> None:
    """Unpack `archive` into the empty folder `release`; a folder that all of it lies in is the project.

    Raises:
        Failed: a member would get out of the release, or is no file; it is too large, or damaged.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                _unpack(_zipped(opened), archive, release)
        else:
            with tarfile.open(archive) as opened:
                _unpack(_tarred(opened, archive), archive, release)
    except _BROKEN as error:
        raise Failed(
            "archive",
            f"{archive} can't be unpacked.",
            evidence=str(error),
            hint="is it whole, without a password, and is there room on the disk?",
        ) from error
    _raise_only_folder(release)


def _zipped(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for info in archive.infolist():
        mode = info.external_attr >> 16
        if stat.S_ISLNK(mode):
            with archive.open(info) as file:
                yield _Member(info.filename, mode, goal=os.fsdecode(file.read(_LONGEST_LINK)))
        else:
            yield _Member(
                info.filename, mode, None if info.is_dir() else functools.partial(archive.open, info)
            )


def _tarred(archive: tarfile.TarFile, path: Path) -> Iterator[_Member]:
    for info in archive:
        if info.issym():
            yield _Member(info.name, info.mode, goal=info.linkname)
        elif info.isreg():
            yield _Member(info.name, info.mode, functools.partial(_opened, archive, info))
        elif info.isdir():
            yield _Member(info.name, info.mode)
        else:
            raise _refused(path, info.name, "neither a file, nor a folder, nor a symbolic link")


def _opened(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    if file is None:
        raise tarfile.ReadError(f"{info.name} has no content")
    return file


def _unpack(members: Iterator[_Member], archive: Path, release: Path) -> None:
    """The links last: nothing is ever written through one."""
    links, room = [], MOST_BYTES
    for number, member in enumerate(members):
        target = release / _inner(archive, member.name)
        if number >= MOST_MEMBERS:
            raise _too_large(archive, f"more than {MOST_MEMBERS:,} members")
        if member.goal:
            links.append((target, member.goal))
        elif member.open is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            with member.open() as file:
                room = _write(file, target, room, archive)
            target.chmod(0o755 if member.mode & 0o111 else 0o644)
    for target, goal in links:
        if any(parent.is_symlink() for parent in target.parents if parent.is_relative_to(release)):
            raise _refused(archive, str(target.relative_to(release)), "below a link")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(goal)


def _inner(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise _refused(archive, name, "outside of the project")
    return path


def _write(file: IO[bytes], target: Path, room: int, archive: Path) -> int:
    """Write `file` to `target`; what is left of `room`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        while chunk := file.read(_CHUNK):
            room -= len(chunk)
            if room < 0:
                raise _too_large(archive, f"more than {MOST_BYTES >> 30} GiB unpacked")
            out.write(chunk)
    return room


def _raise_only_folder(release: Path) -> None:
    """Take the one folder that everything lies in for the project; unless it is a package."""
    entries = list(release.iterdir())
    if len(entries) != 1 or entries[0].is_symlink() or not entries[0].is_dir():
        return
    if (entries[0] / "__init__.py").exists():
        return
    aside = release.with_name(f"{release.name}.unpacked")
    entries[0].rename(aside)
    release.rmdir()
    aside.rename(release)


def _refused(archive: Path, name: str, what: str) -> Failed:
    return Failed(
        "archive",
        f"{archive.name} has a member that no project has.",
        evidence=f"{name!r}: {what}",
        hint="pack the project's own files alone, from inside its folder",
    )


def _too_large(archive: Path, evidence: str) -> Failed:
    return Failed(
        "archive", f"{archive.name} is too large.", evidence=evidence, hint="pack code alone, no data"
    )
