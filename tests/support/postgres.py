"""A PostgreSQL cluster of the tests' own: in a temporary folder, on a unix socket, gone at the end."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
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
def cluster() -> Iterator[Cluster]:
    """A new cluster; PostgreSQL refuses to run as root, so root's runs as a user without rights."""
    if not _PROGRAMS:
        pytest.skip("PostgreSQL is not installed: tests/machine/install.sh does it")
    owner = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    # not in pytest's own folders, which it keeps to their user
    with tempfile.TemporaryDirectory(prefix="sg", dir="/tmp") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, owner)
        data = str(folder / "data")
        _run(owner, "initdb", "--pgdata", data, "--auth=trust", "--no-sync", "--username", owner)
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        control = ("pg_ctl", "--pgdata", data, "--silent", "--wait")
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
