"""The link that routes: nginx connects to its path, and the kernel follows it at each connect."""

from __future__ import annotations

import os
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
        temporary = self.folder / f".live.sock.{secrets.token_hex(4)}"
        temporary.symlink_to(f"../{generation}/http.sock")
        try:
            temporary.rename(self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def remove(self) -> None:
        """Lead nowhere: every connection is refused from now on.

        Raises:
            OSError: the link could not be removed.
        """
        self.path.unlink(missing_ok=True)
