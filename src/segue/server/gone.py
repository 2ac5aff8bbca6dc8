"""The parts of a removal: each knows whether there is still something to take away."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from segue.server.machine import Machine, demand
from segue.server.parts import Change, is_ours
from segue.server.units import MARK


@dataclass(frozen=True)
class NoFile:
    """A file or a link that setup made; somebody else's stays.

    Attributes:
        then: the command after it.
    """

    path: Path
    mark: str = MARK
    then: tuple[str, ...] = ()

    def change(self, machine: Machine) -> Change | None:
        """The file."""
        del machine
        there = os.path.lexists(self.path)
        ours = there and (self.path.is_symlink() or is_ours(self.path, self.mark))
        return Change(f"- file {self.path}") if ours else None

    def obstacles(self, machine: Machine) -> list[str]:
        """Nothing is in its way."""
        del machine
        return []

    def make(self, machine: Machine) -> None:
        """Remove it."""
        self.path.unlink()
        if self.then:
            demand(machine, *self.then)


@dataclass(frozen=True)
class NoFolder:
    """A folder of segue's own, with all that is in it; or only where that is nothing.

    Attributes:
        empty: whether to leave a folder that has something in it.
    """

    path: Path
    empty: bool = False

    def change(self, machine: Machine) -> Change | None:
        """The folder."""
        del machine
        if not self.path.is_dir() or self.path.is_symlink() or (self.empty and os.listdir(self.path)):
            return None
        return Change(f"- folder {self.path}")

    def obstacles(self, machine: Machine) -> list[str]:
        """Nothing is in its way."""
        del machine
        return []

    def make(self, machine: Machine) -> None:
        """Remove it."""
        del machine
        if self.empty:
            self.path.rmdir()
        else:
            shutil.rmtree(self.path)
