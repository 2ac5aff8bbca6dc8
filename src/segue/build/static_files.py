"""Static files across releases: each release's folder has its own, and beside them those of all others.

So whoever serves, nginx or the app itself, answers for every page that one of the releases on disk has
given out. A file is only ever added, by a hard link under a name that is free: of a name that two releases
have, each serves its own.
"""

from __future__ import annotations

import errno
import filecmp
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from segue.core.fingerprints import is_fingerprinted
from segue.core.ids import is_release_id
from segue.disk.atomic import read_if_whole, write_json
from segue.disk.forms import Form

MANIFEST = ".segue-static.json"

_MANIFEST: Form = {"folder": str, "own": [str], "kept": [str]}
_NO_LINKS = (errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EXDEV)
_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")


@dataclass(frozen=True)
class Statics:
    """The static files of one release.

    Attributes:
        release: its folder.
        folder: where they lie, in it.
        own: the names of those that it was made with, below `folder`.
        kept: the names of those that are other releases', and were put beside them.
    """

    release: Path
    folder: str
    own: frozenset[str]
    kept: frozenset[str] = frozenset()

    @property
    def place(self) -> Path:
        """The folder itself."""
        return self.release / self.folder

    def write(self) -> None:
        """Remember which files are whose."""
        document = {"folder": self.folder, "own": sorted(self.own), "kept": sorted(self.kept)}
        write_json(self.release / MANIFEST, document)

    @classmethod
    def read(cls, release: Path) -> Statics | None:
        """What is remembered of the release in the folder `release`; None where that is nothing."""
        found = read_if_whole(release / MANIFEST, _MANIFEST)
        if found is None:
            return None
        return cls(release, found["folder"], frozenset(found["own"]), frozenset(found["kept"]))


@dataclass(frozen=True)
class Differing:
    """How far what a release's folder keeps of others is from what it should keep.

    Attributes:
        add: the names to be put there.
        remove: the names that no release has any more.
    """

    add: frozenset[str]
    remove: frozenset[str]


def differing(one: Statics, others: Iterable[Statics], there: Iterable[str]) -> Differing:
    """What to do in the folder of `one`. Pure.

    Args:
        one: the release.
        others: all others on disk.
        there: the names of all that is in its folder, whoever put it there.
    """
    wanted = frozenset().union(*(other.own for other in others)) - one.own
    return Differing(add=wanted - frozenset(there), remove=one.kept - wanted)


def list_own(release: Path, folder: str) -> frozenset[str]:
    """The names of the files below `folder` of `release`: none that is hidden, or is elsewhere by a link."""
    place = release / folder
    return frozenset(name for name in _names(place) if _is_file_of(release, place / name))


def _names(place: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(place):
        folders[:] = [name for name in folders if not name.startswith(".")]
        base = os.path.relpath(parent, place)
        yield from (os.path.normpath(os.path.join(base, name)) for name in files if not name.startswith("."))


def _is_file_of(release: Path, path: Path) -> bool:
    real = Path(os.path.realpath(path))
    return real.is_file() and real.is_relative_to(os.path.realpath(release))


def publish(release: Path, folder: str) -> Statics:
    """Remember what `release` was made with, and exchange that with all releases beside it.

    One that was there before this was asked for is taken to have the same `folder`.
    """
    before = Statics.read(release)
    kept = frozenset() if before is None else before.kept
    made = Statics(release, folder, list_own(release, folder) - kept, kept)
    made.write()
    for path in _releases(release.parent):
        if Statics.read(path) is None and (path / folder).is_dir():
            Statics(path, folder, list_own(path, folder)).write()
    exchange(release.parent)
    return Statics.read(release) or made


def exchange(releases: Path) -> int:
    """Give every release in the folder `releases` the names that it lacks, and take those that nobody has.

    Returns:
        how many were taken away, in all of them.
    """
    found = [one for path in _releases(releases) if (one := Statics.read(path)) is not None]
    return sum(_exchange(one, [other for other in found if other is not one]) for one in found)


def _releases(folder: Path) -> list[Path]:
    """The folders of releases in `folder`, the newest first."""
    names = (name for name in os.listdir(folder) if is_release_id(name))
    return [path for name in sorted(names, reverse=True) if (path := folder / name).is_dir()]


def _exchange(one: Statics, others: list[Statics]) -> int:
    todo = differing(one, others, _names(one.place))
    if not (todo.add or todo.remove):
        return 0
    # written before it is done: what a death leaves behind is known to be ours
    replace(one, kept=one.kept | todo.add).write()
    for name in todo.add:
        _add(one.place, name, [other.place for other in others if name in other.own])
    for name in todo.remove:
        _remove(one.place, name)
    replace(one, kept=(one.kept | todo.add) - todo.remove).write()
    return len(todo.remove)


def _add(place: Path, name: str, sources: Iterable[Path]) -> None:
    """Put the file `name` into `place`, from the first of `sources` that still has it."""
    target = place / name
    if _behind_link(place, name):
        return  # what is behind a link, such as people's uploads, is nobody's release
    for source in sources:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(source / name, target)
        except FileNotFoundError:
            continue  # the app took it away
        except (FileExistsError, NotADirectoryError):
            pass  # what is a file in one release is a folder in another
        return


def _link(source: Path, target: Path) -> None:
    try:
        os.link(os.path.realpath(source), target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        temporary = target.with_name(f".{target.name}.segue")
        shutil.copyfile(source, temporary)
        temporary.rename(target)


def _remove(place: Path, name: str) -> None:
    if _behind_link(place, name):
        return
    path = place / name
    try:
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == place:
                break
            parent.rmdir()
    except OSError:
        pass  # somebody else's is in there still


def _behind_link(place: Path, name: str) -> bool:
    parents = (place / parent for parent in Path(name).parents)
    return place.is_symlink() or ".." in Path(name).parts or any(path.is_symlink() for path in parents)


def told_by(made: Statics) -> dict[str, object]:
    """What the executor has to know of what was published."""
    plain = sorted(name for name in made.own if _PLAIN.fullmatch(name))
    sample = next((name for name in plain if is_fingerprinted(name)), plain[0] if plain else None)
    fingerprinted = sum(map(is_fingerprinted, made.own))
    return {"files": len(made.own), "fingerprinted": fingerprinted, "kept": len(made.kept), "sample": sample}


def compare(made: Statics, before: Statics) -> list[str]:
    """See that browsers notice what has changed since `before`; the names by which they can't.

    They ask again with a file's time and size, as nginx gives them. A build that dates all files alike
    would leave them with old content.
    """
    lying = []
    for name in sorted(made.own & before.own):
        new, old = made.place / name, before.place / name
        if not (new.is_file() and old.is_file()) or filecmp.cmp(new, old, shallow=False):
            continue
        if is_fingerprinted(name):
            lying.append(name)
        if _looks_like(new) == _looks_like(old):
            os.utime(new, (time.time(), time.time()))
    return lying


def _looks_like(path: Path) -> tuple[int, int]:
    status = path.stat()
    return int(status.st_mtime), status.st_size
