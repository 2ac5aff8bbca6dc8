"""What a source says of the environment that it needs: its ``.env.example``."""

from __future__ import annotations

import subprocess

from segue.build.source import Source
from segue.config.env_file import read_as_dotenv

EXAMPLE = ".env.example"


def example_of(source: Source) -> dict[str, str]:
    """The keys in the ``.env.example`` of `source`, with their values there; none without such a file.

    An archive is not looked into: it is opened where it is built.
    """
    return read_as_dotenv(_text(source).decode(errors="replace"), interpolate=False)


def _text(source: Source) -> bytes:
    if source.commit is not None:
        # a mirror has no work tree that its folder could be a part of
        path = EXAMPLE if source.url else f"./{EXAMPLE}"
        argv = ("git", "-C", str(source.folder), "show", f"{source.commit}:{path}")
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout
    try:
        return (source.folder / EXAMPLE).read_bytes()
    except OSError:
        return b""
