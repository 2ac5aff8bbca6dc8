"""Calls the tools of a build, and makes their failure the build's: with their own last lines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from segue.core.errors import Failed

EVIDENCE_LINES = 30

Done = subprocess.CompletedProcess[str]


def call(argv: tuple[str, ...], folder: Path, **env: str) -> Done:
    """Run `argv` in `folder`, with `env` over our own environment: that has the index and its password."""
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "PDM_CHECK_UPDATE": "0", **env}
    return subprocess.run(
        argv,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=env,
        errors="replace",
    )


def run(argv: tuple[str, ...], folder: Path) -> str:
    """What `argv`, run in `folder`, prints.

    Raises:
        Failed: it fails.
    """
    done = call(argv, folder)
    demand(done, Path(argv[0]).name, *(word for word in argv[1:3] if not word.startswith("-")))
    return done.stdout


def demand(done: Done, *words: str) -> None:
    """See to it that `done`, called ``words`` for people, went well.

    Raises:
        Failed: it did not.
    """
    if done.returncode != 0:
        raise Failed(
            "build",
            f"The release's dependencies could not be installed: {' '.join(words)} failed.",
            evidence=last_lines(done),
            hint="the release was not built; what was serving still serves",
        )


def last_lines(done: Done) -> str:
    """The end of what it printed."""
    return "\n".join((done.stdout + done.stderr).strip().splitlines()[-EVIDENCE_LINES:])
