"""The server's form of `Tasks`: the deploy user builds, and what is the app's runs as its user, confined."""

from __future__ import annotations

import contextlib
import pwd
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from segue.build.venv import UV_CACHE
from segue.deploy.commands import started
from segue.deploy.seams import Started
from segue.server import systemd
from segue.server.folders import lay_open
from segue.server.home import home_of
from segue.server.installed import Installed
from segue.server.layout import Layout
from segue.server.sandbox import as_words, hidden_folders, lent, task_confinement

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
        self.hidden = hidden_folders(installed)

    def building(self, *argv: str, env: Mapping[str, str]) -> Started:
        """See `Tasks`."""
        user = pwd.getpwnam(self._installed.deploy_user)
        own = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
        # on the disk of the releases, so that their packages are links to what is in it
        own["UV_CACHE_DIR"] = str(home_of(self._layout).cache / UV_CACHE)
        return started(*argv, stdin=True, env={**env, **own}, user=user, cwd=Path(user.pw_dir))

    @contextlib.asynccontextmanager
    async def of_app(
        self,
        *argv: str,
        cwd: Path,
        env: Mapping[str, str],
        folder: Path,
        output: IO[bytes],
        writes: Path | None = None,
    ) -> AsyncIterator[Process]:
        """See `Tasks`."""
        layout, installed = self._layout, self._installed
        words = confined(
            layout, installed, folder, argv, cwd=cwd, env=env, ends_with=self._unit, writes=writes
        )
        async with started(*words, output=output) as process:
            try:
                yield process
            finally:
                await systemd.systemctl("stop", unit_of(folder), check=False)

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """See `Tasks`."""
        with tempfile.TemporaryDirectory(
            prefix=f"segue-{self._layout.app}-task-", dir=self._layout.tasks
        ) as name:
            folder = Path(name)
            lay_open(folder, self._installed.user)
            yield folder


def confined(
    layout: Layout,
    installed: Installed,
    folder: Path,
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    ends_with: str = "",
    carrier: str = "--pipe",
    writes: Path | None = None,
) -> tuple[str, ...]:
    """The command that runs `argv` as the app's user, in its sandbox, with `folder` to write to.

    Args:
        layout: the app's places.
        installed: who its user is.
        folder: the task's own; its unit is named after it.
        argv: the command.
        cwd: where it runs.
        env: what its environment has beyond the app's own file; no secrets, for arguments can be seen.
        ends_with: the unit whose end is its end.
        carrier: what it has for standard input and output: ours by ``--pipe``, a terminal by ``--pty``.
        writes: a folder of the deploy user's, and open to its group, that it may write to as well.
    """
    return (
        "systemd-run", "--quiet", "--wait", carrier, "--collect", "--service-type=exec",
        # systemd would take the whole command for a description, and log it
        f"--unit={unit_of(folder)}", f"--description=a task of {layout.app}",
        f"--property=WorkingDirectory={cwd}",
        *((f"--property=BindsTo={ends_with}",) if ends_with else ()),
        *as_words(task_confinement(layout, installed, folder)),
        *(as_words(lent(installed, writes)) if writes else ()),
        "--", *in_environment(argv, env),
    )  # fmt: skip


def in_environment(argv: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """The words, for systemd, that run `argv` with `env` over the environment of its unit.

    By env(1): in a unit, the app's own file would have the last word, and systemd would look for the command
    in a PATH of its own.
    """
    words = ("/usr/bin/env", "--", *(f"{name}={value}" for name, value in env.items()), *argv)
    return tuple(word.replace("$", "$$") for word in words)


def unit_of(folder: Path) -> str:
    """The unit of the task that has `folder`."""
    return f"{folder.name}.service"
