"""The server's form of `Tasks`: the deploy user builds, and what is the app's runs as its user, confined."""

from __future__ import annotations

import contextlib
import pwd
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import IO

from segue.deploy.commands import started
from segue.deploy.seams import Started
from segue.server import systemd
from segue.server.folders import lay_open
from segue.server.installed import Installed
from segue.server.layout import Layout
from segue.server.sandbox import as_words, task_confinement

INIT = 1


class ConfinedTasks:
    """Tasks of one deploy.

    Args:
        layout: the app's places.
        installed: who its users are.
        unit: the deploy's own unit; with it, its tasks end.
    """

    parent = INIT

    def __init__(self, layout: Layout, installed: Installed, unit: str) -> None:
        self._layout = layout
        self._installed = installed
        self._unit = unit

    def building(self, *argv: str, env: Mapping[str, str]) -> Started:
        """See `Tasks`."""
        user = pwd.getpwnam(self._installed.deploy_user)
        own = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
        return started(*argv, stdin=True, env={**env, **own}, user=user, cwd=Path(user.pw_dir))

    @contextlib.asynccontextmanager
    async def of_app(
        self, *argv: str, cwd: Path, env: Mapping[str, str], folder: Path, output: IO[bytes]
    ) -> AsyncIterator[Process]:
        """See `Tasks`."""
        unit = f"{folder.name}.service"
        words = (
            "systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--service-type=exec",
            f"--unit={unit}", f"--property=BindsTo={self._unit}",
            f"--property=WorkingDirectory={cwd}",
            *(f"--setenv={name}={value}" for name, value in env.items()),
            *as_words(task_confinement(self._layout, self._installed, folder)),
            "--", *(word.replace("$", "$$") for word in argv),
        )  # fmt: skip
        async with started(*words, output=output) as process:
            try:
                yield process
            finally:
                await systemd.systemctl("stop", unit, check=False)

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """See `Tasks`."""
        with tempfile.TemporaryDirectory(
            prefix=f"segue-{self._layout.app}-task-", dir=self._layout.tasks
        ) as name:
            folder = Path(name)
            lay_open(folder, self._installed.user)
            yield folder
