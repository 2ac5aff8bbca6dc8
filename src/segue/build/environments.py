"""Finished virtual environments, kept so that another release that needs the same is linked from one.

Each is whole, and never run from: a release's own consists of hard links to its files, but for those that
name the place where they lie.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

KEPT = 3

_SCRIPTS = "bin"
_SETTINGS = "pyvenv.cfg"
# scripts of several languages would each write them in another way
_ESCAPED = re.compile(r"""['"\\$`]""")
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})


@dataclass(frozen=True)
class Environments:
    """The environments that are kept for one app.

    Attributes:
        folder: where they lie; only who holds the deploy lock builds, and so comes here.
    """

    folder: Path

    def take(self, key: str, venv: Path) -> bool:
        """Make `venv` from the environment that was kept as `key`; whether there is one.

        Raises:
            OSError: it can't be written.
        """
        kept = self._place(key)
        if not kept.is_dir():
            return False
        os.utime(kept)
        _link_tree(str(kept), str(venv))
        _readdress(venv, kept, venv)
        return True

    def keep(self, key: str, venv: Path) -> None:
        """Keep `venv`, which is whole, as `key`; where that can't be, the next build is a slow one again."""
        kept = self._place(key)
        if _ESCAPED.search(f"{kept}{venv}"):
            return
        new = self._aside(kept)
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            _link_tree(str(venv), str(new))
            _readdress(new, venv, kept)
            # after a power loss the name must not be there without what it stands for
            subprocess.run(("sync", "--file-system", str(new)), capture_output=True, check=False)
            new.rename(kept)

    def prune(self) -> None:
        """Take away all but those that were used last, and what a build that was killed left behind."""
        if not self.folder.is_dir():
            return
        found = sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        whole = [path for path in found if not path.name.startswith(".")]
        for path in whole[KEPT:]:
            path.rename(self._aside(path))
        for path in self.folder.glob(".*"):
            shutil.rmtree(path, ignore_errors=True)

    def _place(self, key: str) -> Path:
        """Its files name this folder: in a project that was moved, nothing is there by its new name."""
        place = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]
        return self.folder / f"{key}-{place}"

    def _aside(self, path: Path) -> Path:
        return self.folder / f".{path.name}.{os.getpid()}"


def _link_tree(source: str, target: str) -> None:
    os.mkdir(target)
    with os.scandir(source) as entries:
        for entry in entries:
            name = os.path.join(target, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), name)
            elif entry.is_dir():
                _link_tree(entry.path, name)
            else:
                _link(entry.path, name)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy2(source, target)


def _readdress(venv: Path, before: Path, after: Path) -> None:
    """Have what names `before` in `venv`, a copy of that, name `after` instead; that of the other stays."""
    for path in (venv / _SETTINGS, *(venv / _SCRIPTS).iterdir()):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if os.fsencode(before) in content:
            mode = path.stat().st_mode
            path.unlink()
            path.write_bytes(content.replace(os.fsencode(before), os.fsencode(after)))
            path.chmod(mode)
