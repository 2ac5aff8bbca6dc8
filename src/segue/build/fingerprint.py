"""What a snapshot would take, in a few bytes: whether it is worth another release."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from segue.build.snapshot import files_to_copy
from segue.build.source import resolve_source
from segue.config.project import CONFIG_FILE, PYPROJECT

ENVIRONMENT = ".env"
# What editors leave beside a file while it is open, and after: vim, Emacs, JetBrains, Kate, GNOME, nano.
_TEMPORARY = re.compile(
    r"\.sw[a-z]$|~$|^#.*#$|^\.#|^4913$|___jb_(tmp|old)___$|\.kate-swp$|^\.goutputstream-|\.save$"
)

_Identity = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Fingerprint:
    """A project at one instant.

    Attributes:
        files: the files that a snapshot would take, and the config.
        environment: the content of ``.env``, which no snapshot takes: a restart applies it.
        folders: the folders in which a change could change that.
    """

    files: str
    environment: str
    folders: frozenset[Path]


@dataclass
class Fingerprints:
    """Takes fingerprints of one project; a file that did not change is not read again.

    Attributes:
        project: its folder.
    """

    project: Path
    _read: dict[Path, tuple[_Identity, bytes]] = field(default_factory=dict)

    def take(self, shared: Iterable[str]) -> Fingerprint:
        """The present one; paths in `shared` are linked into releases, so what lies there does not count.

        Raises:
            SegueError: git would not work there.
        """
        source = resolve_source(self.project, None)
        names = {path for path in files_to_copy(source, shared) if not _TEMPORARY.search(path.name)}
        names |= {PurePosixPath(CONFIG_FILE), PurePosixPath(PYPROJECT)}
        paths = sorted(self.project / name for name in names)
        wanted = {*paths, self.project / ENVIRONMENT}
        self._read = {path: known for path, known in self._read.items() if path in wanted}
        folders = {folder for name in names for folder in name.parents}
        return Fingerprint(
            self._digest(paths),
            self._digest([self.project / ENVIRONMENT]),
            frozenset(self.project / folder for folder in folders if (self.project / folder).is_dir()),
        )

    def _digest(self, paths: list[Path]) -> str:
        digest = hashlib.sha256()
        for path in paths:
            digest.update(os.fsencode(path) + b"\0" + self._content(path))
        return digest.hexdigest()

    def _content(self, path: Path) -> bytes:
        try:
            status = path.lstat()
            identity = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            known = self._read.get(path)
            if known is None or known[0] != identity:
                known = self._read[path] = (identity, _read(path, status.st_mode))
        except OSError:
            return b""  # gone meanwhile, or not for us to read: as good as not there
        return known[1]


def _read(path: Path, mode: int) -> bytes:
    if stat.S_ISLNK(mode):
        return b"link " + os.fsencode(os.readlink(path))
    content = hashlib.sha256(path.read_bytes()).digest() if stat.S_ISREG(mode) else b""
    return b"file %o " % (mode & 0o111) + content
