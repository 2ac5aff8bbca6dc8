"""This terminal as the one of a command on a server: keys there, screen here, sizes too."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from typing import Any

from segue.disk.events import Event

PIECE = 4096

Send = Callable[[dict[str, Any]], None]


def is_terminal() -> bool:
    """Whether somebody sits here: both what is typed and what is shown are a terminal's."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def description() -> dict[str, Any]:
    """What the other side has to know of this terminal, as args of the request."""
    return {"term": os.environ.get("TERM", "dumb"), **_size()}


def show(event: Event) -> None:
    """Put on the screen what the command shows."""
    sys.stdout.buffer.write(base64.b64decode(event["bytes"]))
    sys.stdout.buffer.flush()


@contextlib.contextmanager
def passing_on(send: Send) -> Iterator[None]:
    """Within the block every key goes to `send`, Ctrl-C too, and every new size of the window."""
    keyboard, lock = sys.stdin.fileno(), threading.Lock()

    def say(document: dict[str, Any]) -> None:
        with lock:
            send(document)

    def type_on() -> None:
        while piece := os.read(keyboard, PIECE):
            say({"verb": "typed", "bytes": base64.b64encode(piece).decode()})

    before = termios.tcgetattr(keyboard)
    signal.signal(signal.SIGWINCH, lambda *_: say({"verb": "resized", **_size()}))
    tty.setraw(keyboard)
    threading.Thread(target=type_on, daemon=True).start()
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)


def _size() -> dict[str, Any]:
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    return {"rows": rows, "columns": columns}
