"""Lock files of other tools, read by these: exported as requirements, which all of them can write."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segue.build.call import call, demand, last_lines
from segue.build.declared import Declared
from segue.core.errors import Failed

# pdm ends well without what it was asked for
_PDM_IGNORES = "non-existing groups"


@dataclass(frozen=True)
class _Exporter:
    """A tool that reads a lock file of its own.

    Attributes:
        check: the words that make it say whether its lock is up to date.
        export: the words that make it print the lock as requirements, with the extras and groups wanted.
        package: what to install where it is missing.
    """

    check: tuple[str, ...]
    export: Callable[[Declared], tuple[str, ...]]
    package: str


def _poetry(declared: Declared) -> tuple[str, ...]:
    extras = (f"--extras={name}" for name in declared.extras)
    return ("export", "--format=requirements.txt", *extras, *(f"--with={name}" for name in declared.groups))


def _pdm(declared: Declared) -> tuple[str, ...]:
    named = (f"--group={name}" for name in (*declared.extras, *declared.groups))
    return ("export", "--format=requirements", "--dev" if declared.groups else "--prod", *named)


_EXPORTERS = {
    "poetry.lock": _Exporter(("check", "--lock"), _poetry, "poetry and poetry-plugin-export"),
    "pdm.lock": _Exporter(("lock", "--check"), _pdm, "pdm"),
}


def export(declared: Declared, folder: Path) -> Path:
    """What `declared` names, as a file for pip: exported into `folder` where it is the lock of another tool.

    Raises:
        Failed: the tool is not there, or its lock is out of date.
    """
    exporter = _EXPORTERS.get(declared.file)
    if exporter is None:
        return declared.path
    name = declared.path.stem
    program = shutil.which(name)
    if program is None:
        raise _missing(declared, exporter, f"there is no {name} on the PATH of who builds")
    _check(declared, (program, *exporter.check))
    done = call((program, *exporter.export(declared)), declared.release)
    if "export" in done.stderr and "does not exist" in done.stderr:
        raise _missing(declared, exporter, last_lines(done))
    if done.returncode == 0 and _PDM_IGNORES in done.stderr:
        done.returncode = 1
    demand(done, name, "export")
    requirements = folder / "requirements.txt"
    requirements.write_text(done.stdout, encoding="utf-8")
    return requirements


def _missing(declared: Declared, exporter: _Exporter, evidence: str) -> Failed:
    return Failed(
        "exporter",
        f"{declared.file} can't be read without the tool that wrote it.",
        evidence=evidence,
        hint=f"install {exporter.package} for who builds; or commit its export as requirements.txt, which "
        'goes first; or have an environment of yours run the app: python = ".venv/bin/python" in segue.toml',
    )


def _check(declared: Declared, argv: tuple[str, ...]) -> None:
    done = call(argv, declared.release)
    if done.returncode != 0:
        raise out_of_date(declared, last_lines(done), f"{declared.path.stem} lock")


def out_of_date(declared: Declared, evidence: str, command: str) -> Failed:
    """The lock file does not fit what pyproject.toml asks for."""
    message = f"{declared.file} does not fit pyproject.toml any more."
    return Failed(
        "lock", message, evidence=evidence, hint=f"`{command}`, commit what it writes, deploy again"
    )
