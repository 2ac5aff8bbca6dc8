"""``python -m segue.server.receive``: takes a source from a laptop, and says where it lies."""

from __future__ import annotations

import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

KEPT = 86400.0


def main() -> None:
    """Unpack the archive on standard input into a folder of its own, and print its path."""
    base = Path.home() / ".cache" / "segue" / "sources"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget_old(base)
    folder = tempfile.mkdtemp(dir=base)
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|gz") as archive:
        # by attribute: Python before 3.11.4 knows neither the parameter nor the filter
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)  # noqa: S202 - who sends it may write here anyway
    sys.stdout.write(f"{folder}\n")


def _forget_old(base: Path) -> None:
    for folder in base.iterdir():
        if folder.stat().st_mtime < time.time() - KEPT:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
