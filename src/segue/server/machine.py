"""The server that setup changes: accounts, who owns what, and commands. Files are simply files."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from segue.core.errors import Failed
from segue.front.nginx import Nginx
from segue.server.origin import Running

_COMMAND_TIMEOUT = 300.0


@dataclass(frozen=True)
class Account:
    """A user of the system.

    Attributes:
        name: the login name.
        uid: its number; 0 is root.
        group: the name of its own group.
        groups: the names of all its groups.
        shell: what a login gets.
        comment: what the user database says of it.
    """

    name: str
    uid: int
    group: str
    groups: frozenset[str]
    shell: str
    comment: str


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    output: str


class Front(Protocol):
    """nginx, with its sites."""

    def read(self, site: str) -> str | None:
        """The text of `site`; None where it is not turned on."""

    def has_read(self, site: str) -> bool:
        """Whether it serves `site` as that text says."""

    def validate(self, site: str, text: str | None) -> None:
        """Raise Refused if `site` can't become `text`; nothing is written."""

    def put(self, site: str, text: str | None) -> None:
        """Serve `site` as `text`, or no more; if that fails all is as before."""


class Source(Protocol):
    """The segue that a server's own is a copy of."""

    @property
    def name(self) -> str:
        """Its version and content."""

    def obstacles(self) -> list[str]:
        """Why there can be no copy of it, for people."""

    def copy(self, folder: Path) -> None:
        """Make `folder`, which is new, a virtual environment with this segue."""


class Machine(Protocol):
    """What setup needs of a server."""

    @property
    def source(self) -> Source:
        """What its segue is made of."""

    @property
    def front(self) -> Front:
        """Its nginx."""

    def account(self, name: str) -> Account | None:
        """The account called `name`, if there is one."""

    def has_group(self, name: str) -> bool:
        """Whether there is a group called `name`."""

    def owner(self, path: Path) -> tuple[str, str]:
        """The names of the user and the group that own `path`, itself where it is a link."""

    def give(self, descriptor: int, owner: str, group: str) -> None:
        """Let `owner` and `group` own the open file `descriptor`."""

    def run(self, *argv: str, text: str = "") -> Done:
        """How `argv`, with `text` as its input, ended; 127 where there is no such program."""


class Linux:
    """This machine."""

    def __init__(self) -> None:
        self.source: Source = Running()
        self.front: Front = Nginx()

    def account(self, name: str) -> Account | None:
        """The account called `name`, if there is one."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            return None
        groups = frozenset(_group_name(gid) for gid in os.getgrouplist(name, entry.pw_gid))
        own = _group_name(entry.pw_gid)
        return Account(name, entry.pw_uid, own, groups, entry.pw_shell, entry.pw_gecos)

    def has_group(self, name: str) -> bool:
        """Whether there is a group called `name`."""
        try:
            grp.getgrnam(name)
        except KeyError:
            return False
        return True

    def owner(self, path: Path) -> tuple[str, str]:
        """The names of the user and the group that own `path`; numbers where they have none."""
        status = path.lstat()
        return _user_name(status.st_uid), _group_name(status.st_gid)

    def give(self, descriptor: int, owner: str, group: str) -> None:
        """Let `owner` and `group` own the open file `descriptor`."""
        os.fchown(descriptor, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)

    def run(self, *argv: str, text: str = "") -> Done:
        """How `argv`, with `text` as its input, ended."""
        try:
            done = subprocess.run(
                argv,
                input=text,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="backslashreplace",
                timeout=_COMMAND_TIMEOUT,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
                check=False,
            )
        except FileNotFoundError:
            return Done(127, f"there is no {argv[0]}")
        except subprocess.TimeoutExpired:
            return Done(124, f"it did not end within {_COMMAND_TIMEOUT:.0f} s")
        return Done(done.returncode, done.stdout)


def demand(machine: Machine, *argv: str, text: str = "") -> str:
    """What `argv` says.

    Raises:
        Failed: it ended with another code than 0.
    """
    done = machine.run(*argv, text=text)
    if done.code != 0:
        raise Failed("command", f"`{' '.join(argv)}` ended with {done.code}.", evidence=done.output)
    return done.output


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
