"""A command on a terminal of its own, for who sits at another one: bytes both ways, in lines of JSON.

The terminal between systemd-run and us is what carries the size; systemd-run makes the one that the command
controls.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from collections.abc import Callable
from typing import IO, Any

from segue.deploy.protocol import LONGEST_LINE, decode

PIECE = 16384
# of the request's args: what a terminal may be called, and how large it may be
LARGEST = 10_000
# makes its standard input the terminal that it controls, so that it hears of new sizes
_CONTROLLING = ("/usr/bin/setsid", "--ctty")

Say = Callable[[dict[str, Any]], None]


def on_terminal(
    argv: tuple[str, ...], say: Say, stdin: IO[bytes], args: dict[str, Any], end: Callable[[], None]
) -> int:
    """Run `argv` on a terminal; its status.

    Args:
        argv: the command.
        say: takes what it shows, as events with ``bytes``.
        stdin: what the asker sends: lines with what is typed, and with new sizes.
        args: the terminal's kind and its first size.
        end: ends the command, where the asker is gone.
    """
    master, slave = pty.openpty()
    _resize(master, args)
    environ = {**os.environ, "TERM": args.get("term") or "dumb"}
    with subprocess.Popen(
        (*_CONTROLLING, *argv), stdin=slave, stdout=slave, stderr=slave, env=environ
    ) as process:
        os.close(slave)
        threading.Thread(target=_type, args=(stdin, master, end), daemon=True).start()
        try:
            while piece := _shown(master):
                say({"event": {"event": "shown", "bytes": base64.b64encode(piece).decode()}})
        except BaseException:
            # nobody sees it any more
            end()
            raise
        return process.wait()


def _shown(master: int) -> bytes:
    try:
        return os.read(master, PIECE)
    except OSError:
        return b""  # the other side is closed: Linux says EIO


def _type(stdin: IO[bytes], master: int, end: Callable[[], None]) -> None:
    """Pass on what is typed, until the asker is gone."""
    with contextlib.suppress(OSError):
        while line := stdin.readline(LONGEST_LINE):
            with contextlib.suppress(ValueError):
                _hear(decode(line), master)
    end()


def _hear(message: dict[str, Any], master: int) -> None:
    if message.get("verb") == "typed":
        with contextlib.suppress(binascii.Error, TypeError):
            os.write(master, base64.b64decode(message.get("bytes", "")))
    if message.get("verb") == "resized":
        _resize(master, message)


def _resize(master: int, size: dict[str, Any]) -> None:
    rows, columns = (size.get(key) for key in ("rows", "columns"))
    if all(isinstance(number, int) and 0 < number < LARGEST for number in (rows, columns)):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
