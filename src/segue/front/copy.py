"""A copy of nginx's config with some files as they are to be, to be validated before anything is written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_LARGEST = 1 << 20

Files = Mapping[Path, str | None]
"""What files are to hold; None for those that are to be gone."""


def copy_config(folder: Path, copy: Path, files: Files) -> None:
    """Make `copy` a config like `folder`, but with `files`, which lie in `folder`.

    What includes files of `folder` is copied and includes those of `copy` instead; all else, such as keys, is
    linked.

    Raises:
        OSError: something could not be read.
    """
    _copy_folder(folder, copy, _Includes(folder, copy), files)
    for path, text in files.items():
        if text is not None:
            (copy / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(folder)).write_text(text)


class _Includes:
    """Turns what leads into one folder to another."""

    def __init__(self, folder: Path, copy: Path) -> None:
        self._found = re.compile(rb"(\binclude\s+[\"']?)" + re.escape(os.fsencode(folder)) + rb"/")
        self._copy = os.fsencode(copy)

    def turned(self, content: bytes) -> bytes:
        return self._found.sub(lambda found: found[1] + self._copy + b"/", content)


def _copy_folder(folder: Path, copy: Path, includes: _Includes, files: Files) -> None:
    copy.mkdir(exist_ok=True)
    for path in (path for path in folder.iterdir() if path not in files):
        leads_to_ours = any(file.is_relative_to(path) for file in files)
        # never written through a link: what is behind it is the real config
        if path.is_dir() and (leads_to_ours or not path.is_symlink()):
            _copy_folder(path, copy / path.name, includes, files)
        else:
            _copy_file(path, copy / path.name, includes)


def _copy_file(path: Path, copy: Path, includes: _Includes) -> None:
    content = path.read_bytes() if path.is_file() and path.stat().st_size <= _LARGEST else b""
    turned = includes.turned(content)
    if turned == content:
        copy.symlink_to(path)
    else:
        copy.write_bytes(turned)
