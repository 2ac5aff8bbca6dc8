"""The environment on a server: what systemd makes of the app's own file, and what it adds itself."""

from __future__ import annotations

import pwd
from pathlib import Path

from segue.config.env_file import read_as_dotenv, read_as_systemd
from segue.core.errors import Refused
from segue.run.environment import Environment
from segue.server import systemd


def environment_of(file: Path, user: str, path: str) -> Environment:
    """What a generation gets that runs as `user`, with `file` as its EnvironmentFile.

    Args:
        file: the app's own.
        user: who the app runs as.
        path: its PATH, which segue sets.

    Raises:
        Refused: systemd would not read the file, and not start the app.
    """
    text = _text(file)
    read, by_dotenv = read_as_systemd(text, systemd.version()), read_as_dotenv(text)
    added = {"HOME": pwd.getpwnam(user).pw_dir, "USER": user, "LOGNAME": user}
    return Environment(
        values={**added, **read, "PATH": path},
        misread=frozenset(key for key in {**read, **by_dotenv} if read.get(key) != by_dotenv.get(key)),
        file=file,
        remedy=f"`sudoedit {file}` sets it",
    )


def _text(file: Path) -> str:
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        raise _unread(file, str(error.strerror).lower()) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _unread(file, f"line {line} is not UTF-8") from None
    if "\0" in text:
        raise _unread(file, f"line {text[: text.index(chr(0))].count(chr(10)) + 1} has a zero byte")
    return text


def _unread(file: Path, why: str) -> Refused:
    return Refused(
        "env",
        f"systemd would not read {file}, and so not start the app.",
        evidence=why,
        hint=f"mend it by `sudoedit {file}`; nothing was touched",
    )
