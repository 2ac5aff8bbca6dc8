"""The environment under the embedded keeper: its own, and ``.env`` as python-dotenv reads it.

Nobody reads ``.env`` for the app: it is linked into each release, where the app does so itself by
``dotenv.load_dotenv()``. That leaves alone what is set already.
"""

from __future__ import annotations

from collections.abc import Mapping

from segue.config.env_file import read_as_dotenv
from segue.disk.home import Home
from segue.run.environment import Environment


def environment_of(home: Home, environ: Mapping[str, str]) -> Environment:
    """What a generation of `home` gets whose keeper has `environ`."""
    try:
        text = home.env_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return Environment(
        values={**read_as_dotenv(text), **environ},
        misread=frozenset(),
        file=home.env_file,
        remedy=f"set it in {home.env_file}, or start `segue up` with it in its environment",
    )
