"""How the command line asks the keeper, follows what it does, and survives the keeper's controller."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segue import __version__
from segue.core.errors import Refused, SegueError, Stranded
from segue.deploy.conversation import Answer, Conversation
from segue.deploy.protocol import encode
from segue.disk.home import Home
from segue.disk.lock import is_held, user_name
from segue.proof.receipt import read_receipt

CONNECT_TIMEOUT = 10.0
SUCCESSOR_TIMEOUT = 120.0
POLL = 0.1


class KeeperDoor:
    """The way to a project's keeper, and to its next controller where that dies."""

    def __init__(self, home: Home, request: dict[str, Any]) -> None:
        self._home = home
        self._socket = connect(home)
        self._lines = self._socket.makefile("rb")
        self.send(request)

    def send(self, document: dict[str, Any]) -> None:
        """See `Door`."""
        # a keeper that is gone is noticed when its answer is read
        with contextlib.suppress(OSError):
            self._socket.sendall(encode(document))

    def received(self) -> Iterator[bytes]:
        """See `Door`."""
        with contextlib.suppress(ConnectionError):
            while (line := self._lines.readline()).endswith(b"\n"):
                yield line

    def close(self) -> None:
        """See `Door`."""
        self._lines.close()
        self._socket.close()

    def verdict(self, deploy: str | None) -> Answer:
        """The controller died: its successor converges, and leaves the receipt."""
        deadline = time.monotonic() + SUCCESSOR_TIMEOUT
        while deploy is not None and time.monotonic() < deadline:
            # asked before the receipt is looked for: the last thing that a keeper does may be to write it
            kept = is_held(self._home.keeper_lock)
            receipt = _receipt(self._home.receipt(deploy))
            if receipt is not None:
                return receipt, receipt["exit_code"]
            if not kept:
                break
            time.sleep(POLL)
        raise Stranded(
            "keeper_died",
            "The keeper died before it answered, and no other has come in its place.",
            hint="what served still serves; `segue up` takes over, and takes back what was not committed",
        )


def converse(home: Home, verb: str, args: dict[str, Any]) -> Conversation:
    """Ask the keeper of `home` for `verb`.

    Raises:
        Refused: there is none.
    """
    request = {"version": __version__, "verb": verb, "args": args, "by": user_name()}
    return Conversation(KeeperDoor(home, request))


def _receipt(path: Path) -> dict[str, Any] | None:
    try:
        return read_receipt(path)
    except ValueError as error:
        raise Stranded(
            "receipt",
            f"{path} is damaged, so nobody knows how this ended.",
            evidence=str(error),
            hint="`segue status` says what serves",
        ) from error


def connect(home: Home) -> socket.socket:
    """A connection to the keeper of `home`.

    Raises:
        Refused: there is none.
    """
    deadline = time.monotonic() + CONNECT_TIMEOUT
    while True:
        keeper = home.read_keeper()
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(keeper["socket"] if keeper else "")
        except OSError as error:
            client.close()
            # while the parent lives, its next controller is on its way
            if not is_held(home.keeper_lock) or time.monotonic() > deadline:
                raise _no_keeper(home) from error
            time.sleep(POLL)
        else:
            return client


def _no_keeper(home: Home) -> SegueError:
    return Refused(
        "no_keeper",
        f"No keeper is running for {home.project}.",
        evidence=f"looked for it in {home.keeper}",
        hint="start one in another terminal: `segue up`; it takes over what an earlier one left serving",
    )
