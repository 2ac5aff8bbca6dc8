"""Where a peer runs, and the one shape that all of them have."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.support.apps import Interface, make_app
from tests.support.race import Kind

HOST = "127.0.0.1"
WORKERS = 2
THREADS = 8
SYNC_WORKERS = 4
KEPT = 75  # seconds that an idle connection is kept: deploys alone are to end them
IMPORT_SECONDS = 1.0

HELD: tuple[Kind, ...] = ("kept", "kept", "kept", "idle", "half", "fresh")
ONE_EACH: tuple[Kind, ...] = ("idle", "half", "fresh")


class Unavailable(Exception):
    """A peer can't be run here; the text says why, for its row."""


@dataclass(frozen=True)
class Place:
    """A folder of one run, with the app in it, and the interpreter that has the servers.

    Attributes:
        root: the run's own, on a short path, for there are sockets in it.
        python: the interpreter with the servers.
    """

    root: Path
    python: Path
    interface: Interface

    @property
    def app(self) -> Path:
        """The app's folder: what is in it when a deploy begins is the new release."""
        return self.root / "app"

    @property
    def log(self) -> Path:
        """What the servers print."""
        return self.root / "log"

    def release(self, version: str, **behaviour: Any) -> None:
        """Put the release `version` into the app's folder."""
        make_app(
            self.app,
            version=version,
            interface=self.interface,
            **{"import_seconds": IMPORT_SECONDS, **behaviour},
        )


class Running(Protocol):
    """A peer that serves."""

    @property
    def url(self) -> str:
        """Where users come in, without a path."""

    def deploy(self, version: str) -> None:
        """Carry out its command for the release in the app's folder, which calls itself `version`."""

    def is_leaving(self) -> bool:
        """Whether the last deploy has told the old workers to leave."""

    def processes(self) -> Sequence[int]:
        """The pids of all that runs for it, without nginx."""


Start = AbstractContextManager[Running]


class Starts(Protocol):
    """Serves the app of a place until the block ends."""

    def __call__(self, place: Place, /) -> Start:
        """The block; it yields once the app has answered."""


@dataclass(frozen=True)
class Peer:
    """One way to deploy.

    Attributes:
        name: its row's, in the table.
        short: what `--only` calls it.
        starts: serves by it.
        packages: what has to be installed for it.
        interface: the kind of app that it serves.
        kinds: the states of connections that it is raced with.
        needs_nginx: whether nginx is a part of it.
    """

    name: str
    short: str
    starts: Starts
    packages: tuple[str, ...]
    interface: Interface = "wsgi"
    kinds: tuple[Kind, ...] = HELD
    needs_nginx: bool = False

    @contextmanager
    def serving(self, python: Path, version: str = "v1") -> Iterator[tuple[Place, Running]]:
        """It serves `version` in a place of its own, until the block ends.

        Raises:
            Unavailable: nginx is not there.
            AssertionError: it did not start.
        """
        if self.needs_nginx and not nginx_program():
            raise Unavailable("nginx is not installed")
        with tempfile.TemporaryDirectory(prefix="sgb", dir="/tmp") as folder:
            place = Place(Path(folder), python, self.interface)
            place.release(version)
            with self.starts(place) as running:
                yield place, running


def nginx_program() -> str | None:
    """The system's nginx; a normal user's PATH often has no sbin."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
