"""The links that route: nginx connects to one, opens files below another, and the kernel follows them."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from segue.core.ids import is_generation_id

_LEADS_TO = re.compile(r"\.\./([^/]+)/http\.sock")


@dataclass(frozen=True)
class Link:
    """Which generation new connections reach.

    Attributes:
        folder: the link's own, beside those of the generations; the app's user can't write it.
    """

    folder: Path

    @property
    def path(self) -> Path:
        """What nginx connects to."""
        return self.folder / "live.sock"

    def routed(self) -> str | None:
        """The generation whose socket the link leads to; None where it leads to no such socket.

        Raises:
            OSError: the folder can't be read.
        """
        try:
            leads_to = _LEADS_TO.fullmatch(os.readlink(self.path))
            is_socket = stat.S_ISSOCK(self.path.stat().st_mode)
        except OSError as error:
            if isinstance(error, PermissionError):
                raise
            return None
        return leads_to[1] if leads_to and is_socket and is_generation_id(leads_to[1]) else None

    def route(self, generation: str) -> None:
        """Lead every connection from now on to `generation`, whether or not its socket is there.

        Raises:
            ValueError: `generation` is no generation's id.
            OSError: the link could not be replaced, and is as it was.
        """
        if not is_generation_id(generation):
            raise ValueError(f"{generation!r} is no generation's id")
        _lead(self.path, f"../{generation}/http.sock")

    def remove(self) -> None:
        """Lead nowhere: every connection is refused from now on.

        Raises:
            OSError: the link could not be removed.
        """
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class StaticLink:
    """Which static files nginx serves by itself.

    Attributes:
        folder: the link's own; neither the app's user nor who builds can write it.
        owner: the user whose files they have to be: nginx serves what a link's owner owns; empty for us.
    """

    folder: Path
    owner: str = ""

    @property
    def path(self) -> Path:
        """What nginx looks below."""
        return self.folder / "static"

    def leads_to(self) -> Path | None:
        """The folder that it leads to; None where there is no such link."""
        try:
            return Path(os.readlink(self.path))
        except FileNotFoundError:
            return None

    def lead(self, folder: Path | None) -> None:
        """Lead every request from now on to `folder`; with None, to nothing.

        Raises:
            OSError: the link could not be replaced, and is as it was.
        """
        if folder is None:
            self.path.unlink(missing_ok=True)
        elif self.leads_to() != folder:
            _lead(self.path, str(folder), _uid(self.owner))


def _uid(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid if user else -1
    except KeyError:
        return -1  # somebody took the account away: nginx leaves it to the app then, and the site serves


def _lead(link: Path, goal: str, owner: int = -1) -> None:
    temporary = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    temporary.symlink_to(goal)
    try:
        os.lchown(temporary, owner, -1)
        temporary.rename(link)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
