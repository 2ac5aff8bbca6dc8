"""The running segue as files: what a copy of it for a server is made of."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from subprocess import PIPE, STDOUT

import segue
from segue.core.errors import Failed

_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
_BASE = getattr(sys, "_base_executable", sys.executable)
_PROGRAMS = {"uv"}  # what segue runs from beside its interpreter
_PRIVATE = ("/home", "/root", "/run/user", "/tmp")  # noqa: S108 - where the app's user can't look, or anybody can


def package() -> Path:
    """The folder of segue's own code."""
    return Path(segue.__file__).resolve().parent


def interpreter() -> Path:
    """The interpreter that segue runs on, whichever virtual environment that is in."""
    return Path(_BASE).resolve()


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


class Running:
    """The segue that runs, as what a server's own is copied from."""

    @cached_property
    def name(self) -> str:
        """Its version and content."""
        return f"segue-{segue.__version__}-{fingerprint()}"

    def obstacles(self) -> list[str]:
        """Why there can be no copy of it, for people."""
        if _python() is not None:
            return []
        needs = f"no {_VERSION} is here that everybody may run and root alone may change"
        return [f"{needs} (segue runs on {interpreter()}): install segue for the system's own Python"]

    def copy(self, folder: Path) -> None:
        """Make `folder`, which is new, a virtual environment with this segue.

        Raises:
            Failed: there can be none.
        """
        argv = (str(_python()), "-I", "-m", "venv", "--without-pip", str(folder))
        done = subprocess.run(argv, stdout=PIPE, stderr=STDOUT, text=True, timeout=120, check=False)
        if done.returncode:
            raise Failed("venv", "The server's own segue can't be made.", evidence=done.stdout)
        packages = next(folder.glob("lib/python*/site-packages"))
        for source, name in files():
            _copy(source, packages / name)
        (folder / "segue").symlink_to(packages.relative_to(folder) / "segue")


def _copy(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
    path.chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def _python() -> Path | None:
    """An interpreter of the running version that root may rely on, and everybody may run."""
    known = (Path("/usr/bin", _VERSION), Path("/usr/local/bin", _VERSION), Path(_BASE))
    return next((path for path in known if path.exists() and is_roots(path.resolve())), None)


def is_roots(path: Path) -> bool:
    """Whether nobody but root may change `path`, and everybody may reach it."""
    if any(path.is_relative_to(private) for private in _PRIVATE):
        return False
    return all(_only_root_writes(node) for node in (path, *path.parents))


def _only_root_writes(node: Path) -> bool:
    status = os.stat(node)
    return status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
