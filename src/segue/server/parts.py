"""The parts of a server that setup wants as they should be: each knows how it differs, and how to mend that.

A part is a value. ``change`` looks and says what would be done, ``obstacles`` why it can't be, ``make`` does
it. Whatever a cut leaves behind, the next run sees as a change again.
"""

from __future__ import annotations

import difflib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from segue.disk.atomic import sync_folder
from segue.server.machine import Machine, demand
from segue.server.units import MARK


@dataclass(frozen=True)
class Change:
    """What setup would do about one part.

    Attributes:
        text: one line that begins with ``+``, ``~`` or ``-``.
        diff: for files, how the content changes, as a unified diff.
    """

    text: str
    diff: str = ""


class Part(Protocol):
    """Something that should be in a certain way."""

    def change(self, machine: Machine) -> Change | None:
        """What has to be done; None where it is as it should be."""

    def obstacles(self, machine: Machine) -> list[str]:
        """Why it can't be done, for people; nothing where it can."""

    def make(self, machine: Machine) -> None:
        """Do it."""


@dataclass(frozen=True)
class User:
    """An account of the system, made where it is missing; one that is there is left as it is.

    Attributes:
        name: the login name, and that of its group.
        options: the words for useradd.
        what: what kind of account it is, for people.
    """

    name: str
    options: tuple[str, ...]
    what: str

    def change(self, machine: Machine) -> Change | None:
        """The account, where it is missing."""
        return Change(f"+ user {self.name}, {self.what}") if machine.account(self.name) is None else None

    def obstacles(self, machine: Machine) -> list[str]:
        """A group of that name, without its user."""
        if machine.account(self.name) is None and machine.has_group(self.name):
            return [f"there is a group {self.name}, but no user {self.name}"]
        return []

    def make(self, machine: Machine) -> None:
        """Create the account."""
        demand(machine, "useradd", *self.options, "--user-group", "--", self.name)


@dataclass(frozen=True)
class Folder:
    """A folder; what is in it is not looked at."""

    path: Path
    owner: str = "root"
    group: str = "root"
    mode: int = 0o755

    def change(self, machine: Machine) -> Change | None:
        """The folder, or its owner and mode."""
        return _change_of_node(machine, "folder", self)

    def obstacles(self, machine: Machine) -> list[str]:
        """Anything else of that name."""
        del machine
        there = os.path.lexists(self.path)
        wrong = there and not stat.S_ISDIR(self.path.lstat().st_mode)
        return [f"{self.path} is there, and is no folder"] if wrong else []

    def make(self, machine: Machine) -> None:
        """Make the folder; for a moment it is root's alone."""
        if not os.path.lexists(self.path):
            self.path.mkdir(mode=0o700)
        _give(machine, self, os.O_DIRECTORY)


@dataclass(frozen=True)
class File:
    """A file of setup's own.

    Attributes:
        mark: what its beginning says, for a file without it is somebody else's; empty where any file will do.
        seed: whether the content is only a beginning, which people go on writing.
        then: the command after each change, such as for systemd to take notice.
    """

    path: Path
    content: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    mark: str = MARK
    seed: bool = False
    then: tuple[str, ...] = ()

    def change(self, machine: Machine) -> Change | None:
        """The content, or owner and mode."""
        if not self.path.exists():
            return Change(f"+ file {_titled(self)}", diff_of("", self.content))
        if not self.seed and (present := read_text(self.path)) != self.content:
            return Change(f"~ file {_titled(self)}", diff_of(present, self.content))
        return _change_of_node(machine, "file", self)

    def obstacles(self, machine: Machine) -> list[str]:
        """Somebody else's file."""
        del machine
        return [] if is_ours(self.path, self.mark) else [f"{self.path} is there, and setup did not make it"]

    def make(self, machine: Machine) -> None:
        """Replace the file as a whole, or only give it its owner and mode."""
        if self.seed and self.path.exists():
            _give(machine, self)
        else:
            self._replace(machine)
        if self.then:
            demand(machine, *self.then)

    def _replace(self, machine: Machine) -> None:
        # the dot in front: sudo, systemd, tmpfiles pass such a file by
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(self.content)
                file.flush()
                machine.give(descriptor, self.owner, self.group)
                os.fchmod(descriptor, self.mode)
                os.fsync(descriptor)
            temporary.rename(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(self.path.parent)


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    path: Path
    target: str

    def change(self, machine: Machine) -> Change | None:
        """The link, where it is missing or leads elsewhere."""
        del machine
        if not os.path.lexists(self.path):
            return Change(f"+ link {self.path} -> {self.target}")
        if os.readlink(self.path) == self.target:
            return None
        return Change(f"~ link {self.path} -> {self.target}, was -> {os.readlink(self.path)}")

    def obstacles(self, machine: Machine) -> list[str]:
        """Anything else of that name."""
        del machine
        wrong = os.path.lexists(self.path) and not self.path.is_symlink()
        return [f"{self.path} is there, and is no link"] if wrong else []

    def make(self, machine: Machine) -> None:
        """Let the link lead there, in one step."""
        del machine
        temporary = self.path.with_name(f".{self.path.name}.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(self.target)
        temporary.rename(self.path)
        sync_folder(self.path.parent)


def is_ours(path: Path, mark: str) -> bool:
    """Whether setup may write `path`: nothing is there, or a plain file with `mark` in its first lines."""
    if not os.path.lexists(path):
        return True
    if not stat.S_ISREG(path.lstat().st_mode):
        return False
    return mark in "".join(read_text(path).splitlines(keepends=True)[:2])


def read_text(path: Path) -> str:
    """The text in `path`, whatever bytes are in it."""
    return path.read_bytes().decode("utf-8", "backslashreplace")


def _titled(node: Folder | File) -> str:
    return f"{node.path} {_as_owned(node.owner, node.group, node.mode)}"


def _as_owned(owner: str, group: str, mode: int) -> str:
    return f"{owner}:{group} {mode:04o}"


def _change_of_node(machine: Machine, what: str, node: Folder | File) -> Change | None:
    if not node.path.exists():
        return Change(f"+ {what} {_titled(node)}")
    was = _as_owned(*machine.owner(node.path), stat.S_IMODE(node.path.lstat().st_mode))
    if was == _as_owned(node.owner, node.group, node.mode):
        return None
    return Change(f"~ {what} {_titled(node)}, was {was}")


def _give(machine: Machine, node: Folder | File, kind: int = 0) -> None:
    """Owner and mode, never by way of a link: what lies in a folder of the app's user may have become one."""
    descriptor = os.open(node.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind)
    try:
        machine.give(descriptor, node.owner, node.group)
        os.fchmod(descriptor, node.mode)
    finally:
        os.close(descriptor)


def diff_of(before: str, after: str) -> str:
    """How `before` becomes `after`, as a unified diff without names."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return "\n".join(list(lines)[2:])
