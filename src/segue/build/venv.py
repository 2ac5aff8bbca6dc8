"""Dependencies: one virtual environment per release, built in its final place, from cache where unchanged."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from segue.core.errors import Failed

Say = Callable[[str], None]
EVIDENCE_LINES = 30

_INCLUDE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[ =]?\s*(\S+)", re.MULTILINE)
_LOCAL = re.compile(r"^(\S+) @ file:", re.MULTILINE)


def choose_python(project: Path, release: Path, configured: str | None) -> tuple[Path, bool]:
    """The interpreter that runs the release, and whether a virtual environment has to be built for it.

    Raises:
        Failed: the configured interpreter does not exist.
    """
    if configured is not None:
        python = project / Path(configured).expanduser()
        if not os.access(python, os.X_OK):
            raise Failed(
                "python",
                f"{python} is no interpreter that can be run.",
                evidence=f'python = "{configured}" in the config',
                hint="it has to be the path of an interpreter that has Gunicorn and the app's packages",
            )
        return python, False
    if (release / "requirements.txt").is_file():
        return release / ".venv" / "bin" / "python", True
    for folder in (project / ".venv", project / "venv", Path(os.environ.get("VIRTUAL_ENV", "/nonexistent"))):
        if os.access(folder / "bin" / "python", os.X_OK):
            return folder / "bin" / "python", False
    return Path(sys.executable), False


def build_venv(release: Path, cache: Path, say: Say) -> None:
    """Make the release's virtual environment and install its requirements.txt into it.

    Raises:
        Failed: a package can't be had or built; its evidence is the tool's last lines.
    """
    key = requirements_key(release / "requirements.txt")
    resolved = cache / "resolved" / f"{key}.txt"
    tool = _Uv(release) if _uv_program() else _Pip(release)
    tool.create()
    if resolved.exists() and tool.install_resolved(resolved):
        say("dependencies unchanged: linked from cache")
        return
    say("installing dependencies from requirements.txt")
    tool.install(release / "requirements.txt")
    pins = tool.freeze()
    if not any(" @ " in line or line.startswith("-e") for line in pins.splitlines()):
        resolved.parent.mkdir(parents=True, exist_ok=True)
        whole = resolved.with_suffix(f".{os.getpid()}")
        whole.write_text(pins, encoding="utf-8")
        whole.rename(resolved)


def requirements_key(requirements: Path) -> str:
    """What has to be equal for two releases to have equal dependencies: the files' text and the Python."""
    digest = hashlib.sha256(f"{sys.version}{sys.platform}".encode())
    for path in _with_includes(requirements, set()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _with_includes(path: Path, seen: set[Path]) -> Iterator[Path]:
    path = path.resolve()
    if path in seen or not path.is_file():
        return
    seen.add(path)
    yield path
    for name in _INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
        yield from _with_includes(path.parent / name, seen)


def _uv_program() -> str | None:
    if importlib.util.find_spec("uv") is not None:
        import uv  # noqa: PLC0415 - it is a wheel that not every platform has

        return os.fsdecode(uv.find_uv_bin())
    return shutil.which("uv")


class _Uv:
    """Virtual environments by uv: links files from its cache, and needs no ensurepip."""

    def __init__(self, release: Path) -> None:
        self.venv = release / ".venv"
        self.program = _uv_program() or "uv"

    def create(self) -> None:
        _run(self.program, "venv", "--quiet", "--no-project", "--python", sys.executable, str(self.venv))

    def install_resolved(self, pins: Path) -> bool:
        argv = self._pip(
            "install", "--offline", "--no-deps", "--compile-bytecode", "--requirement", str(pins)
        )
        return _call(argv).returncode == 0

    def install(self, requirements: Path) -> None:
        argv = self._pip("install", "--compile-bytecode", "--requirement", str(requirements))
        _run(*argv, folder=requirements.parent)
        # uv takes a package's folder for unchanged while its pyproject.toml is
        local = _LOCAL.findall(self.freeze())
        if local:
            _run(*argv, *(f"--reinstall-package={name}" for name in local), folder=requirements.parent)

    def freeze(self) -> str:
        return _run(*self._pip("freeze"))

    def _pip(self, verb: str, *words: str) -> tuple[str, ...]:
        return (self.program, "pip", verb, "--python", str(self.venv / "bin" / "python"), *words)


class _Pip:
    """Virtual environments by the standard library, where there is no uv."""

    def __init__(self, release: Path) -> None:
        self.venv = release / ".venv"

    def create(self) -> None:
        _run(sys.executable, "-m", "venv", str(self.venv))

    def install_resolved(self, pins: Path) -> bool:
        # pip can't be kept from asking an index, and the pins don't say which one the project trusts
        del pins
        return False

    def install(self, requirements: Path) -> None:
        argv = self._pip("install", "--quiet", "--requirement", str(requirements))
        _run(*argv, folder=requirements.parent)

    def freeze(self) -> str:
        return _run(*self._pip("freeze"))

    def _pip(self, *words: str) -> tuple[str, ...]:
        return (str(self.venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", *words)


def _run(*argv: str, folder: Path | None = None) -> str:
    done = _call(argv, folder)
    if done.returncode != 0:
        words = " ".join(word for word in argv[1:3] if not word.startswith("-"))
        raise Failed(
            "build",
            f"The release's dependencies could not be installed: {Path(argv[0]).name} {words} failed.",
            evidence="\n".join((done.stdout + done.stderr).strip().splitlines()[-EVIDENCE_LINES:]),
            hint="the release was not built; what was serving still serves",
        )
    return done.stdout


def _call(argv: tuple[str, ...], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    return subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, check=False, env=env, errors="replace"
    )
