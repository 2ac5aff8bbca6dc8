"""The embedded form of `Tasks`: whoever keeps the app builds it and imports it, too."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from segue.deploy.commands import started
from segue.deploy.seams import Started

_TIED = Path(__file__).with_name("tied.py")


class OwnTasks:
    """Tasks as children of this process, with its own user's rights."""

    hidden: None = None

    def __init__(self) -> None:
        self.parent = os.getpid()

    def building(self, *argv: str, env: Mapping[str, str]) -> Started:
        """See `Tasks`."""
        return started(*argv, stdin=True, env=env)

    def of_app(
        self,
        *argv: str,
        cwd: Path,
        env: Mapping[str, str],
        folder: Path,
        output: IO[bytes],
        writes: Path | None = None,
    ) -> Started:
        """See `Tasks`."""
        del folder, writes
        words = (sys.executable, "-I", "-S", str(_TIED), str(self.parent), *argv)
        return started(*words, cwd=cwd, env=env, output=output)

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """See `Tasks`."""
        with tempfile.TemporaryDirectory(prefix="segue-import-") as folder:
            yield Path(folder)
