"""The tools that make virtual environments and fill them: uv, else the standard library's venv and pip."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Protocol

from segue.build.call import Done, call, demand, last_lines, run
from segue.build.declared import PYPROJECT, REQUIREMENTS, UV_LOCK, Declared, hashes_in, requires_hashes
from segue.build.export import export, out_of_date
from segue.core.errors import Failed

_LOCAL = re.compile(r"^(\S+) @ file:", re.MULTILINE)


class Tool(Protocol):
    """Fills the virtual environment of one release."""

    def create(self) -> None:
        """Make the environment, empty."""

    def install_again(self, pins: Path) -> bool:
        """Install what the same dependencies were before, from cache alone; whether that went well."""

    def install(self) -> str:
        """Install what is declared, whatever it takes; what `install_again` has to know of it."""

    def install_itself(self) -> None:
        """Install the project, which is a package itself."""


class _Environment:
    """The virtual environment of one release."""

    def __init__(self, declared: Declared, program: str) -> None:
        self.declared = declared
        self.program = program
        self.venv = declared.release / ".venv"
        self.python = self.venv / "bin" / "python"

    def _run(self, *argv: str) -> str:
        return run(argv, self.declared.release)

    def _goes_well(self, *argv: str) -> bool:
        return call(argv, self.declared.release).returncode == 0


class _Uv(_Environment):
    """uv: it links files from its cache, and needs no ensurepip."""

    def create(self) -> None:
        self._run(self.program, "venv", "--quiet", "--no-project", "--python", sys.executable, str(self.venv))

    def _chosen(self) -> tuple[str, ...]:
        extras = (f"--extra={name}" for name in self.declared.extras)
        return (*extras, *(f"--group={name}" for name in self.declared.groups))

    def _pip(self, verb: str, *words: str) -> tuple[str, ...]:
        return (self.program, "pip", verb, "--python", str(self.python), *words)


class _UvSync(_Uv):
    """uv.lock, by uv itself: it knows which index each package is from, and installs the project as well."""

    def install_again(self, pins: Path) -> bool:
        del pins  # the lock has them; that it was installed once tells that it was up to date
        return self._sync("--frozen", "--offline").returncode == 0

    def install(self) -> str:
        done = self._sync("--locked")
        if "needs to be updated" in done.stderr:
            raise out_of_date(self.declared, last_lines(done), "uv lock")
        demand(done, "uv", "sync")
        return ""

    def install_itself(self) -> None:
        """Nothing is left to do."""

    def _sync(self, *words: str) -> Done:
        # a project may ask for another interpreter, and an environment for another place
        whole = ("--no-default-groups", "--compile-bytecode", "--python", str(self.python))
        argv = (self.program, "sync", *words, *whole, *self._chosen())
        return call(argv, self.declared.release, UV_PROJECT_ENVIRONMENT=str(self.venv))


class _UvPip(_Uv):
    """Requirements, by uv in the place of pip."""

    def install_again(self, pins: Path) -> bool:
        words = ("--offline", "--no-deps", "--compile-bytecode", "--requirement", str(pins))
        return self._goes_well(*self._pip("install", *words))

    def install(self) -> str:
        requirements = export(self.declared, self.venv)
        hashes = hashes_in(requirements)
        argv = self._pip("install", "--compile-bytecode", "--requirement", str(requirements))
        if self.declared.file == PYPROJECT:
            argv = (*argv, *self._chosen())
        if self.declared.file == REQUIREMENTS and requires_hashes(requirements):
            argv = (*argv, "--require-hashes")
        self._run(*argv)
        # uv takes a package's folder for unchanged while its pyproject.toml is
        local = _LOCAL.findall(self._run(*self._pip("freeze")))
        if local:
            self._run(*argv, *(f"--reinstall-package={name}" for name in local))
        self._run(*self._pip("check"))
        return _with_hashes(self._run(*self._pip("freeze")), hashes)

    def install_itself(self) -> None:
        words = ("--no-deps", "--compile-bytecode", "--editable", ".")
        # but for the first time, what builds it is in the cache
        if not self._goes_well(*self._pip("install", "--offline", *words)):
            self._run(*self._pip("install", *words))


class _Pip(_Environment):
    """The standard library's venv, and pip, where there is no uv."""

    def create(self) -> None:
        self._run(self.program, "-m", "venv", str(self.venv))

    def install_again(self, pins: Path) -> bool:
        # pip can't be kept from asking an index, and the pins don't say which one the project trusts
        del pins
        return False

    def install(self) -> str:
        if self.declared.file in (UV_LOCK, PYPROJECT):
            raise Failed(
                "uv",
                f"{self.declared.file} can't be read without uv.",
                evidence="it is neither beside segue, which depends on it, nor on the PATH of who builds",
                hint="install uv, or commit a requirements.txt",
            )
        requirements = export(self.declared, self.venv)
        self._run(*self._pip("install", "--quiet", "--requirement", str(requirements)))
        self._run(*self._pip("check"))
        return ""

    def install_itself(self) -> None:
        self._run(*self._pip("install", "--quiet", "--no-deps", "--editable", "."))

    def _pip(self, *words: str) -> tuple[str, ...]:
        return (str(self.python), "-m", "pip", "--disable-pip-version-check", *words)


def choose_tool(declared: Declared) -> Tool:
    """What installs `declared`."""
    program = _uv_program()
    if program is None:
        return _Pip(declared, sys.executable)
    return _UvSync(declared, program) if declared.file == UV_LOCK else _UvPip(declared, program)


def _uv_program() -> str | None:
    if importlib.util.find_spec("uv") is not None:
        import uv  # noqa: PLC0415 - it is a wheel that not every platform has

        return os.fsdecode(uv.find_uv_bin())
    return shutil.which("uv")


def _with_hashes(pins: str, hashes: dict[str, list[str]]) -> str:
    """The frozen `pins`, each bound to the hashes that were demanded of it."""
    return "".join(
        " ".join((line, *(f"--hash={each}" for each in hashes.get(line.partition("==")[0], ())))) + "\n"
        for line in pins.splitlines()
    )
