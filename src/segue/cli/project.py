"""Where the command line finds the project that it stands in."""

from __future__ import annotations

from pathlib import Path

from segue.config.project import find_project
from segue.core.errors import UsageError
from segue.disk.home import Home

LOCAL = "local"


def home_here() -> Home:
    """The home of the project that the working directory belongs to."""
    return Home(find_project(Path.cwd()).resolve())


def check_target(target: str | None) -> None:
    """Refuse a target that this segue can't reach.

    Raises:
        UsageError: it is no target.
    """
    if target not in (None, LOCAL):
        raise UsageError(
            "target",
            "This is for the embedded keeper only.",
            evidence=f"asked for the target {target!r}; it knows `local`",
            hint="on a server, set workers in segue.toml, then `segue restart`",
        )
