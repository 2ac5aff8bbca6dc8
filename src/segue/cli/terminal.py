"""This terminal as the one of a command on a server: keys there, screen here, sizes too."""

from __future__ import annotations

import base64
import contextlib
import os
import select
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
    keyboard = sys.stdin.fileno()
    resized, resize = os.pipe()
    os.set_blocking(resize, False)

    def pass_on() -> None:
        while True:
            ready, _, _ = select.select([keyboard, resized], [], [])
            if resized in ready:
                os.read(resized, PIECE)
                send({"verb": "resized", **_size()})
            if keyboard in ready:
                typed = os.read(keyboard, PIECE)
                if not typed:
                    return
                send({"verb": "typed", "bytes": base64.b64encode(typed).decode()})

    before = termios.tcgetattr(keyboard)
    # a signal only wakes that thread: whoever sends may have to wait
    handlers = {
        signal.SIGWINCH: lambda *_: _wake(resize),
        # else the terminal would stay as it is now
        signal.SIGTERM: lambda *_: sys.exit(128 + signal.SIGTERM),
        signal.SIGHUP: lambda *_: sys.exit(128 + signal.SIGHUP),
    }
    old = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    tty.setraw(keyboard)
    threading.Thread(target=pass_on, daemon=True).start()
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # it may be gone
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        for number, handler in old.items():
            signal.signal(number, handler)


def _wake(pipe: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.write(pipe, b"\0")


def _size() -> dict[str, Any]:
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    return {"rows": rows, "columns": columns}
