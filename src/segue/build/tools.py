"""The tools that make virtual environments and fill them: uv, else the standard library's venv and pip."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from typing import Protocol

from segue.build.call import Done, call, demand, last_lines, run
from segue.build.declared import PYPROJECT, REQUIREMENTS, UV_LOCK, Declared, requires_hashes
from segue.build.export import export, out_of_date
from segue.core.errors import Failed

_LOCAL = re.compile(r"^(\S+) @ file:", re.MULTILINE)


class Tool(Protocol):
    """Fills the virtual environment of one release."""

    def create(self) -> None:
        """Make the environment, empty."""

    def install(self) -> bool:
        """Install what is declared; whether that is all there is to say of it, and another may have the same.

        Where some of it has no version that would tell of a change, it is not.
        """

    def install_local(self) -> None:
        """Install what lies in the release, which no other has: the project, where it is a package itself."""


class _Environment:
    """The virtual environment of one release."""

    def __init__(self, declared: Declared, program: str) -> None:
        self.declared = declared
        self.program = program
        self.venv = declared.release / ".venv"
        self.python = self.venv / "bin" / "python"

    def _run(self, *argv: str) -> str:
        return run(argv, self.declared.release)


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
    """uv.lock, by uv itself: it knows which index each package is from."""

    def install(self) -> bool:
        others = (f"--no-install-package={name}" for name in self.declared.local_packages())
        done = self._sync("--locked", "--compile-bytecode", *others)
        if "needs to be updated" in done.stderr:
            raise out_of_date(self.declared, last_lines(done), "uv lock")
        demand(done, "uv", "sync")
        return True

    def install_local(self) -> None:
        # but for the first time, what builds it is in the cache
        if self.declared.local_packages() and self._sync("--frozen", "--offline").returncode != 0:
            demand(self._sync("--frozen"), "uv", "sync")

    def _sync(self, *words: str) -> Done:
        # a project may ask for another interpreter, and an environment for another place
        argv = (self.program, "sync", *words, "--no-default-groups", "--python", str(self.python))
        return call((*argv, *self._chosen()), self.declared.release, UV_PROJECT_ENVIRONMENT=str(self.venv))


class _UvPip(_Uv):
    """Requirements, by uv in the place of pip."""

    def install(self) -> bool:
        requirements = export(self.declared, self.venv)
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
        self._add_server()
        self._run(*self._pip("check"))
        return _all_have_versions(self._run(*self._pip("freeze")))

    def _add_server(self) -> None:
        infos = self.venv.glob("lib/python*/site-packages/*.dist-info")
        there = {path.name.partition("-")[0] for path in infos}
        if self.declared.servers and there.isdisjoint(self.declared.servers):
            self._run(*self._pip("install", "--compile-bytecode", self.declared.servers[0]))

    def install_local(self) -> None:
        if not self.declared.is_package():
            return
        argv = self._pip("install", "--no-deps", "--editable", ".")
        # but for the first time, what builds it is in the cache
        if call((*argv, "--offline"), self.declared.release).returncode != 0:
            self._run(*argv)


class _Pip(_Environment):
    """The standard library's venv, and pip, where there is no uv."""

    def create(self) -> None:
        self._run(self.program, "-m", "venv", str(self.venv))

    def install(self) -> bool:
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
        return _all_have_versions(self._run(*self._pip("freeze")))

    def install_local(self) -> None:
        if self.declared.is_package():
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


def _all_have_versions(frozen: str) -> bool:
    return not any(" @ " in line or line.startswith("-e") for line in frozen.splitlines())
