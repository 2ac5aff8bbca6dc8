"""A PostgreSQL cluster of the tests' own: in a temporary folder, on a unix socket, gone at the end."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

# where Debian puts them, the newest last
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs.

    Attributes:
        folder: that of its socket.
        user: its superuser.
    """

    folder: Path
    user: str

    def make(self, name: str) -> str:
        """A new database called `name`: its URL, as SQLAlchemy has it."""
        with self.connect("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgresql+psycopg://{self.user}@/{name}?host={self.folder}"

    def connect(self, name: str) -> psycopg.Connection:
        """A connection to the database called `name`, each statement of which stays."""
        return psycopg.connect(host=str(self.folder), user=self.user, dbname=name, autocommit=True)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster in `folder`; PostgreSQL refuses to run as root, so root's runs as a user without rights."""
    if not _PROGRAMS:
        pytest.skip("PostgreSQL is not installed: tests/machine/install.sh does it")
    folder.mkdir()
    owner = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        shutil.chown(folder, owner)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and parent.is_relative_to("/tmp"):
                parent.chmod(parent.stat().st_mode | 0o011)
    _run(owner, "initdb", "--pgdata", str(folder / "data"), "--auth=trust", "--no-sync", "--username", owner)
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    control = ("pg_ctl", "--pgdata", str(folder / "data"), "--silent", "--wait")
    _run(owner, *control, "--log", str(folder / "log"), "--options", options, "start")
    try:
        yield Cluster(folder, owner)
    finally:
        _run(owner, *control, "--mode=immediate", "stop")


def _run(owner: str, program: str, *words: str) -> None:
    rights = {"user": owner, "group": pwd.getpwnam(owner).pw_gid, "extra_groups": []}
    subprocess.run(
        (str(_PROGRAMS[-1].with_name(program)), *words),
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",
        **(rights if os.geteuid() == 0 else {}),  # type: ignore[call-overload]
    )
