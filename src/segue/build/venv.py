"""Dependencies: one virtual environment per release, built in its final place, from cache where unchanged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from segue.build.declared import Declared
from segue.build.environments import Environments
from segue.build.tools import choose_tool
from segue.disk.space import taken

UV_CACHE = "uv"
MOST_UNUSED = 1 << 30  # bytes

Say = Callable[[str], None]


def build_venv(declared: Declared, cache: Path, say: Say) -> None:
    """Make the release's virtual environment and install what is `declared` into it.

    Raises:
        Failed: a package can't be had or built; its evidence is the tool's last lines.
    """
    environments = Environments(cache / "environments")
    key, venv = declared.key(), declared.release / ".venv"
    tool = choose_tool(declared)
    if environments.take(key, venv):
        say("dependencies unchanged: linked from cache")
        tool.install_local()
        return
    say(f"installing dependencies from {declared.file}")
    tool.create()
    if tool.install():
        environments.keep(key, venv)
    environments.prune()
    tool.install_local()
    _bound(cache / UV_CACHE)


def _bound(uv_cache: Path) -> None:
    """Begin uv's cache anew, where it is segue's alone and much of it is in no environment any more."""
    if taken(uv_cache) > MOST_UNUSED:
        shutil.rmtree(uv_cache, ignore_errors=True)
