"""The servers, in a virtual environment of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from uv import find_uv_bin

from benchmarks.peers.place import Unavailable

INSTALL_TIMEOUT = 900.0


class Servers:
    """A virtual environment in `folder`, made at the first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.python = folder / "bin" / "python"

    def install(self, packages: tuple[str, ...]) -> None:
        """Install `packages`: as old as those that segue is run with here, where it is run with them.

        Raises:
            Unavailable: one can't be had; the text says why.
        """
        if not self.python.exists():
            _uv("venv", "--python", sys.executable, str(self._folder))
        if packages:
            _uv("pip", "install", "--python", str(self.python), *map(_pinned, packages))

    def versions(self) -> dict[str, str]:
        """What is installed."""
        listed = _uv("pip", "list", "--python", str(self.python), "--format=json")
        return {each["name"]: each["version"] for each in json.loads(listed)}


def _pinned(package: str) -> str:
    try:
        return f"{package}=={version(package)}"
    except PackageNotFoundError:
        return package


def _uv(*words: str) -> str:
    try:
        done = subprocess.run(
            (find_uv_bin(), *words), capture_output=True, text=True, timeout=INSTALL_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"`uv {words[0]}` took longer than {INSTALL_TIMEOUT:.0f} s") from None
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise Unavailable(f"`uv {words[0]}` failed: {' / '.join(said[:3])}")
    return done.stdout
