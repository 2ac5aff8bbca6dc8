"""``systemctl stop`` of an app's own unit: everything of it leaves, unless the unit only restarts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess

from segue.server.home import ServerHome, home_of
from segue.server.installed import Installed, read_installed
from segue.server.layout import Layout
from segue.server.process_units import ProcessUnits
from segue.server.services import Services

COMING_BACK = ("restart", "start", "try-restart")


def stop_all(layout: Layout) -> None:
    """Let every generation finish what it holds and leave.

    Where the unit restarts nothing has to leave. Where the machine stops, systemd stops the generations by
    itself: to wait for it in here would be to wait for ourselves.
    """
    # without MAINPID the keeper ended by itself, and systemd starts it again
    if "MAINPID" not in os.environ or _machine_stops() or _comes_back(layout):
        return
    # else it would see the generations go, and call that a failure
    with contextlib.suppress(ProcessLookupError, KeyError):
        os.kill(int(os.environ["MAINPID"]), signal.SIGTERM)
    asyncio.run(_drain_all(home_of(layout), read_installed(layout)))


async def _drain_all(home: ServerHome, installed: Installed) -> None:
    services, background = Services(home, installed), ProcessUnits(home, installed)
    leaving = asyncio.gather(
        *(services.drain(name) for name in services.observe()),
        *(background.stop(key, wait=True) for key in background.running()),
    )
    # what was told to leave does so without us
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(leaving, installed.stop_timeout)


def _machine_stops() -> bool:
    return _asked("systemctl", "is-system-running") == "stopping"


def _comes_back(layout: Layout) -> bool:
    jobs = _asked("systemctl", "list-jobs", "--no-legend", "--plain", layout.keeper_unit)
    return any(line.split()[2:3] and line.split()[2] in COMING_BACK for line in jobs.splitlines())


def _asked(*argv: str) -> str:
    found = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return found.stdout.strip()
