"""Durable small files: they are read whole, or as they were before."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

from segue.disk.forms import Form, fits

_LARGEST = 64 << 20


def write_json(path: Path, document: Any) -> None:
    """Replace `path` by `document` so that neither a crash nor a reader ever sees half of it.

    Raises:
        OSError: it could not be written; `path` is as it was.
    """
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`, for its user alone, as `write_json` does.

    Raises:
        OSError: it could not be written; `path` is as it was.
    """
    # not by `secrets`: every process of segue's comes here, and it is slow to import
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        # what an app prints and raises ends up in receipts: for its user alone
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # a lone surrogate, as in names of odd files, is written as the escape that JSON has for it
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_plain(path: Path) -> bytes:
    """What is in the file at `path`, which must be neither a link nor anything that blocks.

    On a server root reads what the app's user has written.

    Raises:
        ValueError: it is no file, or a larger one than segue or its gate writes.
        OSError: it can't be read.
    """
    descriptor = _open_unfollowed(path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no file")
        if status.st_size > _LARGEST:
            raise ValueError("it is too large")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(status.st_size)
    finally:
        os.close(descriptor)


def _open_unfollowed(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        # a link, or a socket
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise ValueError("it is no file") from error
        raise


def read_json(path: Path, form: Form = object) -> Any:
    """The document in `path`; None where there is no such file.

    Raises:
        ValueError: the file holds no JSON, or a document that does not have `form`; or it is no plain file.
        OSError: the file can't be read.
    """
    try:
        document = json.loads(read_plain(path))
    except FileNotFoundError:
        return None
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not fits(document, form):
        raise ValueError("it does not say what it has to")
    return document


def read_if_whole(path: Path, form: Form) -> Any:
    """The document in `path`; None where there is none, or where the file is damaged: for what can be missed.

    Raises:
        OSError: the file can't be read.
    """
    try:
        return read_json(path, form)
    except ValueError:
        return None
