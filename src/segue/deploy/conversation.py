"""How an asker follows what an executor does: its events, its last word, and what to do without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from segue.deploy.protocol import decode
from segue.disk.events import Event
from segue.proof.receipt import STEP

PLAN_KEYS = ("verb", "app", "target", "strategy", "release", "generation", "previous")

Answer = tuple[dict[str, Any], int]


class Door(Protocol):
    """The way to an executor's side; a request has been sent through it."""

    def send(self, document: dict[str, Any]) -> None:
        """Say something more; whether anybody hears it shows in what is received."""

    def received(self) -> Iterator[bytes]:
        """The lines that come back, until no more can."""

    def verdict(self, deploy: str | None) -> Answer:
        """How `deploy` ended, where the lines ended before the last word.

        Raises:
            SegueError: nobody knows.
        """

    def close(self) -> None:
        """Stop following; the deploy goes on."""


class Conversation:
    """One request, from its first word to its answer."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._deploy: str | None = None
        self._plan: Event = {}
        self._steps: list[Event] = []
        self.committed = False

    def answer(self, on_event: Callable[[Event], None]) -> Answer:
        """Hand every event to `on_event`, and return the last word and its exit code; can be called again.

        Raises:
            SegueError: the executor is gone, and nobody has anything to say of this deploy.
        """
        for line in self._door.received():
            message = decode(line)
            if "exit_code" in message:
                return message["document"], message["exit_code"]
            self._remember(message["event"])
            on_event(message["event"])
        return self._door.verdict(self._deploy)

    def say(self, document: dict[str, Any]) -> None:
        """Say something more to whoever carries it out."""
        self._door.send(document)

    def cancel(self) -> None:
        """Ask for the deploy to be taken back."""
        self.say({"verb": "cancel"})

    def so_far(self) -> dict[str, Any]:
        """What is known of a committed deploy that is not followed to its end, in the form of its receipt."""
        plan = {key: self._plan.get(key) for key in PLAN_KEYS}
        return {"ok": True, **plan, "steps": self._steps, "traffic": None, "error": None}

    def close(self) -> None:
        """Stop following; the deploy goes on."""
        self._door.close()

    def _remember(self, event: Event) -> None:
        self._deploy = event.get("deploy", self._deploy)
        if event.get("event") == "begin":
            self._plan = event
        if event.get("event") == "step" and event["status"] != "running":
            self._steps.append({key: event.get(key) for key in STEP})
        # what can still take the commit back
        last = "processes" if "processes" in self._plan.get("steps", ()) else "commit"
        if event.get("name") == last and event.get("status") == "done":
            self.committed = True
