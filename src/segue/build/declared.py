"""What says which packages a release needs: of its lock files, lists and metadata, the first that counts."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.core.errors import Failed

UV_LOCK, REQUIREMENTS, PYPROJECT = "uv.lock", "requirements.txt", "pyproject.toml"
# what names each package exactly, and is checked for being up to date, goes first; then what was written by
# hand or exported to be read by everything; then what takes a tool of its own to read
_FILES = (UV_LOCK, REQUIREMENTS, "poetry.lock", "pdm.lock")

_INCLUDE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[ =]?\s*(\S+)", re.MULTILINE)
# a package that lies in the project, as uv writes it into its lock; one that is virtual is never installed
_LOCAL = re.compile(
    r'^name = "(.+)"\n(?:version = .+\n)?source = \{ (?:editable|directory|path) = ', re.MULTILINE
)


@dataclass(frozen=True)
class Declared:
    """What says which packages a release needs.

    Attributes:
        release: its folder.
        file: the name of the file in it that counts.
        extras: the optional dependencies that it needs too.
        groups: the dependency groups that it needs too.
        servers: the app servers that will do; the first is added where none of them is there. Only where a
            pyproject.toml alone counts: what a package needs says nothing of how it is served.
    """

    release: Path
    file: str
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file that counts."""
        return self.release / self.file

    def key(self) -> str:
        """What is equal where two releases need the same: what is declared, and the Python."""
        chosen = (self.file, self.extras, self.groups, self.servers)
        python = (sys.version, os.path.realpath(sys.executable))
        digest = hashlib.sha256(f"{python}{chosen}".encode())
        for text in self._texts():
            digest.update(text)
        return digest.hexdigest()[:32]

    def _texts(self) -> Iterator[bytes]:
        if self.file == PYPROJECT:
            yield _dependencies(read_pyproject(self.release))
            return
        for path in with_includes(self.path):
            yield path.read_bytes()
        if self.file != REQUIREMENTS:
            yield _to_be_fitted(read_pyproject(self.release))

    def local_packages(self) -> tuple[str, ...]:
        """The packages in uv.lock that lie in the project, which may be one of them."""
        return tuple(_LOCAL.findall(self.path.read_text(encoding="utf-8", errors="replace")))

    def is_package(self) -> bool:
        """Whether the project is one itself, and is to be installed beside what it needs."""
        if self.file == REQUIREMENTS:
            return False
        document = read_pyproject(self.release)
        switches = (("poetry", "package-mode"), ("pdm", "distribution"), ("uv", "package"))
        return "build-system" in document and not any(
            _at(document, "tool", name, switch) is False for name, switch in switches
        )


def find_declared(
    release: Path,
    extras: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    servers: tuple[str, ...] = (),
) -> Declared | None:
    """What says which packages `release` needs; None where nothing does.

    Raises:
        Failed: it can't be read, or has neither extras nor groups.
    """
    file = next((name for name in _FILES if (release / name).is_file()), None)
    if file is None and _at(read_pyproject(release), "project", "dependencies"):
        file = PYPROJECT
    if (extras or groups) and file in (None, REQUIREMENTS):
        raise Failed(
            "dependencies",
            f"{file or 'A project that declares no dependencies'} has no extras and no groups.",
            evidence=f"asked for: {', '.join((*extras, *groups))}",
            hint="take extras and groups out of segue.toml, or declare dependencies in pyproject.toml",
        )
    if file is None:
        return None
    return Declared(release, file, extras, groups, servers if file == PYPROJECT else ())


def read_pyproject(release: Path) -> dict[str, Any]:
    """The pyproject.toml of `release`; empty where there is none.

    Raises:
        Failed: it is not TOML.
    """
    path = release / PYPROJECT
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_bytes().decode())
    except (ValueError, RecursionError) as error:
        hint = f"mend {PYPROJECT} and try again"
        raise Failed(
            "pyproject", f"{PYPROJECT} is not valid TOML.", evidence=str(error), hint=hint
        ) from error


def _at(document: Any, *keys: str) -> Any:
    """What stands in `document` under `keys`, one in the other; None where there is nothing, or no table."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _dependencies(document: dict[str, Any]) -> bytes:
    """The part of a pyproject.toml that decides what is installed: an edit elsewhere changes nothing."""
    names = ("requires-python", "dependencies", "optional-dependencies")
    parts = [_at(document, "project", name) for name in names]
    beside = [document.get("dependency-groups"), _at(document, "tool", "uv")]
    return json.dumps([*parts, *beside], sort_keys=True, default=str).encode()


def _to_be_fitted(document: dict[str, Any]) -> bytes:
    """The part of a pyproject.toml that a lock may have to fit: all but the settings of other tools."""
    parts = [document.get(name) for name in ("project", "dependency-groups", "build-system")]
    tools = [_at(document, "tool", name) for name in ("uv", "poetry", "pdm", "hatch", "setuptools")]
    return json.dumps([*parts, *tools], sort_keys=True, default=str).encode()


def with_includes(path: Path) -> list[Path]:
    """The requirements in `path`, and all files that they name."""
    found: list[Path] = []
    _include(path, found)
    return found


def _include(path: Path, found: list[Path]) -> None:
    path = path.resolve()
    if path in found or not path.is_file():
        return
    found.append(path)
    if path.suffix != ".lock":
        for name in _INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
            _include(path.parent / name, found)


def requires_hashes(requirements: Path) -> bool:
    """Whether `requirements` bind a package to its hash, and so have to bind all."""
    return any(b"-hash" in path.read_bytes() for path in with_includes(requirements))
