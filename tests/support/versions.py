"""Another version of segue, to talk to the one that is tested."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import segue as package

OTHER_VERSION = "99.1.0"


def other_version(folder: Path) -> dict[str, str]:
    """The environment in which `python -m segue` is a segue of another version."""
    assert package.__file__ is not None
    copy = folder / "other" / "segue"
    shutil.copytree(Path(package.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    init = copy / "__init__.py"
    text = init.read_text()
    assert package.__version__ in text
    init.write_text(text.replace(package.__version__, OTHER_VERSION))
    return {**os.environ, "PYTHONPATH": str(copy.parent)}
