"""The interpreter that runs a release: one of its own, the one that is configured, or one that lies there."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path

from segue.build.declared import Declared
from segue.core.errors import Failed


def choose_python(
    project: Path, declared: Declared | None, configured: str | None, hidden: Collection[str] | None
) -> tuple[Path, bool]:
    """The interpreter that runs the release, and whether a virtual environment has to be built for it.

    Args:
        project: the project's folder.
        declared: what says which packages the release needs, if anything does.
        configured: the interpreter that the config names.
        hidden: the folders that the app's processes do not see; None where they are no others than ours, and
            may share an interpreter with us or the project.

    Raises:
        Failed: there is none that the app's processes can run.
    """
    if configured is not None:
        python, own = _configured(project, configured), False
    elif declared is not None:
        python, own = declared.release / ".venv" / "bin" / "python", True
    elif hidden is None:
        python, own = _borrowed(project), False
    else:
        raise Failed(
            "dependencies",
            "Nothing in the release says which packages it needs.",
            evidence="there is no uv.lock, requirements.txt, poetry.lock or pdm.lock, and no list of "
            "dependencies in pyproject.toml; a server has no environment of the project's to fall back on",
            hint='commit one of these, with the app server in it; or name an interpreter there: python = "…"',
        )
    _demand_seen(Path(sys.executable) if own else python, hidden or ())
    return python, own


def _configured(project: Path, text: str) -> Path:
    python = project / Path(text).expanduser()
    if not os.access(python, os.X_OK):
        raise Failed(
            "python",
            f"{python} is no interpreter that can be run.",
            evidence=f'python = "{text}" in the config',
            hint="it has to be the path of an interpreter that has Gunicorn and the app's packages",
        )
    return python


def _borrowed(project: Path) -> Path:
    for folder in (project / ".venv", project / "venv", Path(os.environ.get("VIRTUAL_ENV", "/nonexistent"))):
        if os.access(folder / "bin" / "python", os.X_OK):
            return folder / "bin" / "python"
    return Path(sys.executable)


def _demand_seen(python: Path, hidden: Collection[str]) -> None:
    """The interpreter of a virtual environment is a link to another's: both have to be seen."""
    real = Path(os.path.realpath(python))
    for path in (python, real):
        if folder := next((one for one in hidden if path.is_relative_to(one)), None):
            raise Failed(
                "python",
                f"The app can't run {path}: its sandbox hides {folder}.",
                evidence=f"{python} is {real}",
                hint="have that Python where everybody may read it, such as below /opt or /usr/local "
                "(for uv's: UV_PYTHON_INSTALL_DIR=/opt/python)",
            )
