"""Dependencies: one virtual environment per release, built in its final place, from cache where unchanged."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from segue.build.declared import Declared
from segue.build.tools import choose_tool
from segue.core.errors import Failed

Say = Callable[[str], None]


def choose_python(project: Path, declared: Declared | None, configured: str | None) -> tuple[Path, bool]:
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
    if declared is not None:
        return declared.release / ".venv" / "bin" / "python", True
    for folder in (project / ".venv", project / "venv", Path(os.environ.get("VIRTUAL_ENV", "/nonexistent"))):
        if os.access(folder / "bin" / "python", os.X_OK):
            return folder / "bin" / "python", False
    return Path(sys.executable), False


def build_venv(declared: Declared, cache: Path, say: Say) -> None:
    """Make the release's virtual environment and install what is `declared` into it.

    Raises:
        Failed: a package can't be had or built; its evidence is the tool's last lines.
    """
    resolved = cache / "resolved" / f"{declared.key()}.txt"
    tool = choose_tool(declared)
    tool.create()
    if resolved.exists() and tool.install_again(resolved):
        say("dependencies unchanged: linked from cache")
    else:
        say(f"installing dependencies from {declared.file}")
        _keep(tool.install(), resolved)
    if declared.is_package():
        tool.install_itself()


def _keep(pins: str, resolved: Path) -> None:
    """Write down what was installed, unless some of it has no version that would tell of a change."""
    if any(" @ " in line or line.startswith("-e") for line in pins.splitlines()):
        return
    resolved.parent.mkdir(parents=True, exist_ok=True)
    whole = resolved.with_suffix(f".{os.getpid()}")
    whole.write_text(pins, encoding="utf-8")
    whole.rename(resolved)
