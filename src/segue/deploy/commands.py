"""Runs a command of a deploy in a session of its own, so that its end is the end of all that it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

LINE_LIMIT = 1 << 20
P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` gives, which does not block the loop; cancelled, it is waited for: it can't be stopped."""
    working = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait((working,))
        raise


@contextlib.asynccontextmanager
async def started(
    *argv: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bool = False,
    output: IO[Any] | None = None,
    user: pwd.struct_passwd | None = None,
) -> AsyncIterator[Process]:
    """The running `argv`; whichever way the block is left, its whole process group is gone after.

    Args:
        argv: the command, never a shell's.
        cwd: the folder it runs in.
        env: its environment.
        stdin: whether its standard input is a pipe; else it is empty.
        output: takes what it prints; without it standard output is a pipe, and errors go where ours go.
        user: who it runs as, where it is not who we are.
    """
    rights: dict[str, Any] = (
        {}
        if user is None
        else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "umask": 0o022}
    )
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env=env,
        stdin=PIPE if stdin else DEVNULL,
        stdout=PIPE if output is None else output,
        stderr=None if output is None else STDOUT,
        start_new_session=True,
        limit=LINE_LIMIT,
        **rights,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # reads what is left, so that the pipes are closed before the loop is
        await asyncio.shield(process.communicate())
