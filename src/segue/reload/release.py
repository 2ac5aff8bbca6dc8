"""The link that a service finds its release by, led to another one in one step."""

from __future__ import annotations

import dataclasses
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from segue.core.errors import Refused, UsageError
from segue.disk.atomic import sync_folder
from segue.reload.look import Looked
from segue.reload.shadow import Way
from segue.reload.unit import Unit

_CHDIR = "--chdir"


@dataclass
class Flip:
    """One change of a link.

    Attributes:
        link: the link.
        before: where it led, as it was written.
        release: where it is to lead.
        done: whether it does.
    """

    link: Path
    before: str
    release: Path
    done: bool = False

    def forth(self) -> None:
        """Lead it to the release.

        Raises:
            OSError: it could not be.
        """
        _lead(self.link, str(self.release))
        self.done = True

    def back(self) -> None:
        """Lead it to where it led before.

        Raises:
            OSError: it could not be.
        """
        _lead(self.link, self.before)
        self.done = False

    def rebased(self, way: Way) -> Way:
        """`way` as it would be with the link there already: what names the link names the release."""
        command = dataclasses.replace(
            way.command,
            python=tuple(map(self._turned, way.command.python)),
            path=self._turned(way.command.path),
            arguments=tuple(map(self._turned, way.command.arguments)),
        )
        environ = {name: self._turned(value) for name, value in way.environ.items()}
        return dataclasses.replace(way, command=command, environ=environ)

    def _turned(self, word: str) -> str:
        """A word that is the link, or begins in it, with or without a flag before; and lists of such."""
        flag, sign, value = word.rpartition("=")
        parts = (self._turned_path(part) for part in value.split(":"))
        return f"{flag}{sign}{':'.join(parts)}"

    def _turned_path(self, path: str) -> str:
        link = str(self.link)
        if path == link or path.startswith(f"{link}/"):
            return str(self.release) + path.removeprefix(link)
        return path


def plan_flip(looked: Looked, release: Path) -> Flip:
    """The change that has the service find `release`.

    Raises:
        UsageError: `release` is no folder.
        Refused: the service goes by no link that its unit names.
    """
    if not release.is_dir():
        raise UsageError(
            "release", f"There is no folder {release}.", hint="the release has to be complete before"
        )
    unit, service = looked.service.unit, looked.service
    link = Path(str(looked.settings["settings"].get("chdir") or ""))
    if link.is_symlink() and str(link) not in _named(unit):
        # Gunicorn's words are those of the app's user, and root is not to rename what they please
        raise Refused(
            "no_link",
            f"The link that Gunicorn goes by is not named by {unit.name}, so it is not segue's to lead.",
            evidence=f"Gunicorn says: chdir = {link}",
            hint=f"`--chdir {link}` in ExecStart, `systemctl daemon-reload`, one restart: then it may be led",
        )
    if not (link.is_symlink() and link.is_dir()):
        link = Path(unit.folder or service.master.cwd)
        knows = f"Gunicorn knows the folder {service.master.cwd}, and no link"
        example = link if link.is_symlink() else "/srv/app/current"
        raise Refused(
            "no_link",
            f"{unit.name} finds its code by no link that could be led to another release.",
            evidence=f"{knows}, though {link} is one" if link.is_symlink() else knows,
            hint=f"`--chdir {example}` in ExecStart, `systemctl daemon-reload`, one restart: then it follows",
        )
    if link.resolve() == release.resolve():
        raise Refused(
            "same_release",
            f"{link} leads there already.",
            evidence=f"{link} leads to {link.resolve()}",
            hint="leave --release out to load again what lies there",
        )
    if link.stat().st_mtime_ns == release.stat().st_mtime_ns:
        raise Refused(
            "same_time",
            "Both releases say that they were changed in the same instant, and Python's imports go by that.",
            evidence=f"{link.resolve()}\n{release}",
            hint=f"`touch {release}`",
        )
    return Flip(link, os.readlink(link), release.resolve())


def _named(unit: Unit) -> set[str]:
    """The paths that the unit itself names: what only root can write."""
    return {os.path.normpath(path) for path in (unit.folder, *_paths(unit)) if path}


def _paths(unit: Unit) -> Iterator[str]:
    for before, word in pairwise(("", *unit.argv)):
        flag, _, value = word.rpartition("=")
        if value.startswith("/"):
            yield value
        elif _CHDIR in (before, flag) and unit.folder:
            yield os.path.join(unit.folder, value)


def _lead(link: Path, to: str) -> None:
    temporary = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    temporary.symlink_to(to)
    try:
        os.rename(temporary, link)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(link.parent)
