"""The running segue as files: what a copy of it for a server is made of."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import segue
from segue.core.errors import Refused

_PROGRAMS = {"uv"}  # what segue runs from beside its interpreter
_PRIVATE = ("/home", "/root", "/run/user", "/tmp")  # noqa: S108 - where the app's user can't look, or anybody can


def package() -> Path:
    """The folder of segue's own code."""
    return Path(segue.__file__).resolve().parent


def fingerprint() -> str:
    """What tells this segue from another of the same version: its code, and the versions of what it needs."""
    digest = hashlib.sha256()
    for path in sorted(package().rglob("*.py")):
        digest.update(f"{path.relative_to(package())}\0".encode() + path.read_bytes() + b"\0")
    for one in sorted(needed(), key=lambda one: one.name):
        digest.update(f"{one.name} {one.version}\0".encode())
    return digest.hexdigest()[:12]


def needed() -> list[Distribution]:
    """The distributions that segue can't do without, itself among them."""
    found: dict[str, Distribution] = {}
    waiting = ["segue"]
    while waiting:
        name = waiting.pop()
        if name not in found and (one := _distribution(name)) is not None:
            found[name] = one
            waiting += _requirements(one)
    return list(found.values())


def _distribution(name: str) -> Distribution | None:
    """The distribution called `name`; None for what only other systems need."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _requirements(one: Distribution) -> Iterator[str]:
    for requirement in one.requires or ():
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name is not None and "extra ==" not in requirement:
            yield re.sub(r"[-_.]+", "-", name[0]).lower()


def files() -> Iterator[tuple[Path, Path]]:
    """Every file to copy, and where to, relative to site-packages."""
    for path in package().rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path, Path("segue", path.relative_to(package()))
    for one in needed():
        yield from _files(one)


def _files(one: Distribution) -> Iterator[tuple[Path, Path]]:
    for file in one.files or ():
        path, name = Path(str(one.locate_file(file))), Path(file)
        if name.parts[0] == ".." and name.name in _PROGRAMS:
            yield path, Path("../../../bin", name.name)
        # segue's own code comes from where it runs; of an editable one the rest leads back there
        elif name.parts[0] not in {"..", "segue"} and name.suffix != ".pth" and path.is_file():
            yield path, name


def system_python() -> Path:
    """An interpreter of the running version that root may rely on, and everybody may run.

    Raises:
        Refused: there is none.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(getattr(sys, "_base_executable", sys.executable))
    for path in (Path("/usr/bin", version), Path("/usr/local/bin", version), base):
        if path.exists() and is_roots(path.resolve()):
            return path
    raise Refused(
        "python",
        f"There is no {version} on this server that everybody may run, and nobody but root may change.",
        evidence=f"segue runs on {base.resolve()}",
        hint="install segue for the system's own Python, 3.11 or newer, and run setup from there",
    )


def is_roots(path: Path) -> bool:
    """Whether nobody but root may change `path`, and everybody may reach it."""
    if any(path.is_relative_to(private) for private in _PRIVATE):
        return False
    return all(_only_root_writes(node) for node in (path, *path.parents))


def _only_root_writes(node: Path) -> bool:
    status = os.stat(node)
    return status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
