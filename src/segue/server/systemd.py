"""systemd, asked and told by `systemctl`."""

from __future__ import annotations

import asyncio
import subprocess
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Iterable

from segue.core.errors import Failed

ACTIVE = ("active", "activating", "reloading")
LEAVING = "deactivating"


def states(units: Iterable[str]) -> dict[str, str]:
    """The active state of each of `units`, as systemd calls it; ``inactive`` where it knows of none.

    Raises:
        Failed: systemd does not answer.
    """
    names = list(units)
    if not names:
        return {}
    found = dict.fromkeys(names, "inactive")
    for block in _show("Id,ActiveState", *names).split("\n\n"):
        told = properties(block)
        if told.get("Id") in found:
            found[told["Id"]] = told["ActiveState"]
    return found


def show(unit: str, *names: str) -> dict[str, str]:
    """The properties `names` of `unit`.

    Raises:
        Failed: systemd does not answer.
    """
    return properties(_show(",".join(names), unit))


def lines(unit: str, name: str) -> list[str]:
    """The values of a property that `unit` has once or more often, such as ``EnvironmentFiles``.

    Raises:
        Failed: systemd does not answer.
    """
    return [line.partition("=")[2] for line in _show(name, unit).splitlines()]


def names_for_all() -> set[str]:
    """The names that systemd itself puts into the environment of every service.

    Raises:
        Failed: systemd does not answer.
    """
    return {line.partition("=")[0] for line in _asked("show-environment").splitlines()}


def version() -> int:
    """The version of the systemd that runs here.

    Raises:
        Failed: systemd does not answer.
    """
    return int(_asked("--version").split()[1])


def alive(pattern: str) -> dict[str, str]:
    """The active states of the units whose names fit `pattern` and that run, begin to, or end.

    Raises:
        Failed: systemd does not answer.
    """
    listed = _asked("list-units", "--all", "--plain", "--no-legend", "--full", pattern)
    states = (line.split()[:3] for line in listed.splitlines())
    return {unit: state for unit, _, state in states if state in (*ACTIVE, LEAVING)}


def properties(text: str) -> dict[str, str]:
    """What lines of ``KEY=VALUE`` say; systemctl has an order of its own."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {key: value for key, sign, value in pairs if sign}


def _show(names: str, *units: str) -> str:
    return _asked("show", "--property", names, "--", *units)


def _asked(*words: str) -> str:
    argv = ("systemctl", *words)
    # Ctrl-C is meant for us
    found = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True
    )
    if found.returncode != 0:
        raise Failed("systemd", "systemd does not answer.", evidence=found.stderr.strip())
    return found.stdout


async def systemctl(*words: str, check: bool = True) -> None:
    """Have systemd do what `words` say, and wait until it has; without `check`, whether it can or not.

    Raises:
        Failed: it could not.
    """
    await _told("systemctl", *words, what=f"{words[0]} {words[-1]}", check=check)


async def run(unit: str, *words: str) -> None:
    """Have systemd run, as `unit`, what `words` of ``systemd-run`` say.

    Raises:
        Failed: it could not.
    """
    await _told("systemd-run", "--quiet", "--service-type=exec", f"--unit={unit}", *words, what=f"run {unit}")


async def _told(*argv: str, what: str, check: bool = True) -> None:
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    output, _ = await process.communicate()
    if check and process.returncode != 0:
        evidence = output.decode(errors="replace").strip()
        raise Failed("systemd", f"systemd could not {what}.", evidence=evidence)
