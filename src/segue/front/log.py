"""What nginx's own log says of each generation: the witness beside the probe, of real users' requests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.core.ids import is_generation_id

NGINX = ""
"""Stands for answers that no generation put its name to: nginx's own, such as 502, and unwrapped apps'."""

_FIRST_SERVER_ERROR = 500
_CLIENT_LEFT = 499


@dataclass(frozen=True)
class Answers:
    """How many answers there were, and how many of them were server errors (500 and above)."""

    answers: int = 0
    errors: int = 0

    def and_one(self, status: int) -> Answers:
        """These and one more."""
        return Answers(self.answers + 1, self.errors + (status >= _FIRST_SERVER_ERROR))


@dataclass(frozen=True)
class Position:
    """A place in a log: which file, and how many bytes of it are before."""

    inode: int
    offset: int


@dataclass(frozen=True)
class AccessLog:
    """The access log of one app, as `render_site` has nginx write it."""

    path: Path

    def position(self) -> Position:
        """Its end, now.

        Raises:
            OSError: it can't be read.
        """
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return Position(0, 0)
        return Position(status.st_ino, status.st_size)

    def tally(self, since: Position) -> dict[str, Answers]:
        """The answers after `since`, by generation; those without one under `NGINX`.

        A request that its client left before the answer (499) is nobody's error and no answer. What is no
        whole line of ours counts as nothing. A log that was rotated once is followed.

        Raises:
            OSError: it can't be read.
        """
        tallies: dict[str, Answers] = {}
        for generation, status in self._answers(since):
            tallies[generation] = tallies.get(generation, Answers()).and_one(status)
        return tallies

    def _answers(self, since: Position) -> Iterator[tuple[str, int]]:
        inode, lines = _lines_after(self.path, since)
        if inode != since.inode:
            inode_before, lines_before = _lines_after(self.path.with_name(f"{self.path.name}.1"), since)
            lines = [*(lines_before if inode_before == since.inode else []), *lines]
        return filter(None, map(_answer, lines))


def _lines_after(path: Path, since: Position) -> tuple[int, list[bytes]]:
    """The inode of the log at `path`, 0 of none, and its whole lines, in the same log those after `since`."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return 0, []
    with file:
        status = os.fstat(file.fileno())
        # one that is shorter than it was has been emptied in place
        goes_on = status.st_ino == since.inode and since.offset <= status.st_size
        file.seek(since.offset if goes_on else 0)
        return status.st_ino, [line for line in file if line.endswith(b"\n")]


def _answer(line: bytes) -> tuple[str, int] | None:
    try:
        entry: Any = json.loads(line.decode(errors="replace"))
        generation, status = str(entry["generation"]), int(entry["status"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    if status == _CLIENT_LEFT:
        return None
    return generation if is_generation_id(generation) else NGINX, status
