"""How the command line asks the keeper, follows what it does, and survives the keeper's controller."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from segue import __version__
from segue.core.errors import Refused, SegueError, Stranded
from segue.disk.events import Event
from segue.disk.home import Home
from segue.disk.lock import is_held, user_name
from segue.embedded.protocol import decode, encode
from segue.proof.receipt import read_receipt

CONNECT_TIMEOUT = 10.0
SUCCESSOR_TIMEOUT = 120.0
POLL = 0.1
PLAN_KEYS = ("verb", "app", "target", "strategy", "release", "generation", "previous")

Answer = tuple[dict[str, Any], int]


class Conversation:
    """One request to the keeper, from its first word to its answer."""

    def __init__(self, home: Home, verb: str, args: dict[str, Any]) -> None:
        self._home = home
        self._socket = connect(home)
        self._lines = self._socket.makefile("rb")
        self._deploy: str | None = None
        self._plan: Event = {}
        self._steps: list[Event] = []
        self.committed = False
        self._send({"version": __version__, "verb": verb, "args": args, "by": user_name()})

    def answer(self, on_event: Callable[[Event], None]) -> Answer:
        """Hand every event to `on_event`, and return the last word and its exit code; can be called again.

        Raises:
            SegueError: the keeper is gone, and its successor has nothing to say of this deploy.
        """
        for line in self._received():
            message = decode(line)
            if "exit_code" in message:
                return message["document"], message["exit_code"]
            self._remember(message["event"])
            on_event(message["event"])
        return self._verdict_of_successor()

    def cancel(self) -> None:
        """Ask for the deploy to be taken back."""
        self._send({"verb": "cancel"})

    def so_far(self) -> dict[str, Any]:
        """What is known of a committed deploy that is not followed to its end, in the form of its receipt."""
        plan = {key: self._plan.get(key) for key in PLAN_KEYS}
        return {"ok": True, **plan, "steps": self._steps, "traffic": None, "error": None}

    def close(self) -> None:
        """Stop following; the deploy goes on."""
        self._lines.close()
        self._socket.close()

    def _send(self, document: dict[str, Any]) -> None:
        # a keeper that is gone is noticed when its answer is read
        with contextlib.suppress(OSError):
            self._socket.sendall(encode(document))

    def _received(self) -> Iterator[bytes]:
        with contextlib.suppress(ConnectionError):
            while (line := self._lines.readline()).endswith(b"\n"):
                yield line

    def _remember(self, event: Event) -> None:
        self._deploy = event.get("deploy", self._deploy)
        if event.get("event") == "begin":
            self._plan = event
        if event.get("event") == "step" and event["status"] != "running":
            self._steps.append({key: event[key] for key in ("name", "status", "seconds", "detail")})
        if event.get("name") == "commit" and event.get("status") == "done":
            self.committed = True

    def _verdict_of_successor(self) -> Answer:
        """The controller died: its successor converges, and leaves the receipt."""
        deadline = time.monotonic() + SUCCESSOR_TIMEOUT
        while self._deploy is not None and time.monotonic() < deadline:
            # asked before the receipt is looked for: the last thing that a keeper does may be to write it
            kept = is_held(self._home.keeper_lock)
            receipt = _receipt(self._home.receipt(self._deploy))
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
