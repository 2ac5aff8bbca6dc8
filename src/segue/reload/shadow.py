"""Another Gunicorn that is what the service's would be, apart from it: its user, sandbox, arguments.

It is a transient unit of systemd's, with the properties of the service's unit that confine a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segue.core.durations import format_duration
from segue.core.errors import Failed, SegueError
from segue.disk.atomic import read_json
from segue.disk.forms import MAYBE_TEXT, Form
from segue.proof.ask import ask
from segue.reload.master import Command
from segue.reload.memory import children_of, private_memory
from segue.run.stacks import app_frames
from segue.run.trouble import raised_in
from segue.server import systemd
from segue.server.tasks import in_environment

PLACE = Path("/run/segue-reload")
CHECK_TIMEOUT = 10.0
STOP_TIMEOUT = 15.0
POLL = 0.1
FIRST_BAD_STATUS = 400
_LAST_LINES = 30
_LOOK_TIMEOUT = 60
# beyond the time that it is given to be ready, it ends by itself even where we were killed
_SPARE = 120
_OURS = "segue-reload-"
_ESCAPED = re.compile(r'([\\"`$])')
_KEY = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SETTINGS: dict[str, Form] = {
    "settings": dict,
    "worker_class": str,
    "bind": [str],
    "raw_env": [str],
    "held": dict,
    "module": MAYBE_TEXT,
}
SETTINGS: Form = {**_SETTINGS, "version": str, "prefix": str, "where": MAYBE_TEXT}
LOADED: Form = {**_SETTINGS, "loaded": dict, "cwd": str}


@dataclass(frozen=True)
class Way:
    """How the shadow is started.

    Attributes:
        command: Gunicorn's.
        environ: its environment.
        folder: where it starts.
        cwd: where its worker is to be; empty where Gunicorn's own settings say that.
        confinement: the words of ``systemd-run`` that make it what the service is.
        uid: whose it is.
        gid: of which group.
    """

    command: Command
    environ: Mapping[str, str] = field(repr=False)
    folder: str
    cwd: str
    confinement: tuple[str, ...]
    uid: int
    gid: int


@dataclass(frozen=True)
class Booted:
    """What a shadow that answered well has shown.

    Attributes:
        loaded: the file of every module that its worker loaded, by name.
        cwd: where its worker was.
        seconds: from its start to its first good answer.
        status: of that answer.
        memory: bytes that its worker shares with nobody.
    """

    loaded: Mapping[str, str] = field(repr=False)
    cwd: str
    seconds: float
    status: int
    memory: int


def read_settings(way: Way) -> dict[str, Any]:
    """The settings that Gunicorn would have, and what its master would hold; the app is not imported.

    Raises:
        Failed: Gunicorn can't read its settings: HUP would end the master, and the site with it.
    """
    with _place(way) as place:
        argv = ("systemd-run", "--wait", *_words(way, place, "-", _LOOK_TIMEOUT))
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        found = _report(place, SETTINGS) if done.returncode == 0 else None
        if found is None:
            evidence = _told(place) or done.stderr.strip()
            raise Failed(
                "gunicorn_config",
                "Gunicorn can't read its settings as they are now; the service was not touched.",
                evidence=evidence,
                hint="mend them: a reload by HUP would have ended the master, and the site with it",
            )
        return found


async def boot(way: Way, url: str, headers: tuple[tuple[str, str], ...], ready_timeout: float) -> Booted:
    """Boot it, and ask it for `url`.

    Raises:
        Failed: it did not boot, or not answer as it has to.
    """
    with _place(way) as place:
        unit = f"{_OURS}{place.name}.service"
        began = time.monotonic()
        words = _words(way, place, str(place / "own/s"), int(ready_timeout) + _SPARE)
        options = ("-p", "KillMode=mixed", "-p", "TimeoutStopSec=10")
        try:
            await _run("systemd-run", f"--unit={unit}", *options, *words)
            status = await _healthy(unit, place, url, headers, began + ready_timeout)
            found = _report(place, LOADED) or {}
            seconds = time.monotonic() - began
            return Booted(found["loaded"], found["cwd"], seconds, status, _memory_of(unit))
        finally:
            with contextlib.suppress(SegueError):
                await systemd.systemctl("stop", unit, check=False)


async def _healthy(
    unit: str, place: Path, url: str, headers: tuple[tuple[str, str], ...], deadline: float
) -> int:
    trouble = ""
    while True:
        ended = systemd.show(unit, "ActiveState")["ActiveState"] not in systemd.ACTIVE
        if ended or time.monotonic() > deadline:
            raise _trouble(place, trouble, ended=ended)
        if (place / "own/s").exists() and _report(place, LOADED) is not None:
            trouble, status = await _asked(place, url, headers)
            if not trouble:
                return status
            if status:
                raise _unhealthy(place, url, trouble)
        await asyncio.sleep(POLL)


async def _asked(place: Path, url: str, headers: tuple[tuple[str, str], ...]) -> tuple[str, int]:
    """What is wrong with its answer, and the answer's status; 0 where there was none."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            answer = await ask(url, f"unix:{place / 'own/s'}", headers)
    except OSError as error:
        return str(error) or f"no answer within {format_duration(CHECK_TIMEOUT)}", 0
    leads = f", leads to {answer.location}" if answer.location else ""
    return ("" if answer.status < FIRST_BAD_STATUS else f"answer: {answer.status}{leads}"), answer.status


def _unhealthy(place: Path, url: str, trouble: str) -> Failed:
    return Failed(
        "check",
        "The new code boots, but does not answer as it has to; the service was not touched.",
        evidence=f"GET {url}\n{trouble}\n\n{_last_lines(place)}".rstrip(),
        hint="--check names a path that has to answer below 400, --check-host what the site is called",
    )


def _trouble(place: Path, trouble: str, *, ended: bool) -> Failed:
    if ended:
        message = "The new code does not boot; the service was not touched."
        hint = "a reload by HUP would have ended the master, and the site with it"
        return Failed("boot", message, evidence=_told(place), hint=hint)
    message = "The new code was not ready in time; the service was not touched."
    return Failed(
        "ready_timeout",
        message,
        evidence=f"{trouble}\n{_last_lines(place)}".strip(),
        hint="if it needs longer to start, raise --ready-timeout",
    )


@contextlib.contextmanager
def _place(way: Way) -> Iterator[Path]:
    PLACE.mkdir(exist_ok=True)
    PLACE.chmod(0o755)  # whatever our umask is
    place = Path(tempfile.mkdtemp(prefix="", dir=PLACE))
    try:
        place.chmod(0o755)
        (place / "own").mkdir(mode=0o700)
        os.chown(place / "own", way.uid, way.gid)
        shutil.copyfile(Path(__file__).with_name("inside.py"), place / "inside.py")
        (place / "inside.py").chmod(0o644)
        _write_environ(place / "environ", way.environ)
        # systemd would make it for all to read, with what the app says of its secrets
        (place / "log").touch(0o600, exist_ok=False)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write_environ(path: Path, environ: Mapping[str, str]) -> None:
    lines = (f'{name}="{_quoted(value)}"\n' for name, value in environ.items() if _KEY.fullmatch(name))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(lines)


def _quoted(value: str) -> str:
    return _ESCAPED.sub(r"\\\1", value)


def _words(way: Way, place: Path, socket: str, seconds: int) -> tuple[str, ...]:
    argv = (
        *way.command.python,
        place / "inside.py",
        place / "own/report",
        socket,
        way.cwd,
        way.command.path,
        "--",
    )
    properties = {
        "WorkingDirectory": way.folder,
        "EnvironmentFile": place / "environ",
        "StandardOutput": f"append:{place / 'log'}",
        "StandardError": f"append:{place / 'log'}",
        "ReadWritePaths": place / "own",
        "RuntimeMaxSec": seconds,
    }
    return (
        *(
            "--quiet",
            "--collect",
            "--service-type=exec",
            "--description=a service's new code, tried by segue",
        ),
        *way.confinement,
        *(word for name, value in properties.items() for word in ("-p", f"{name}={value}")),
        *("--", *in_environment((*map(str, argv), *way.command.arguments), {})),
    )


async def _run(*argv: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        # what it starts has to be there to be stopped
        await process.wait()
        raise
    if process.returncode:
        raise Failed(
            "boot",
            "systemd could not start the new code beside the service, which was not touched.",
            evidence=output.decode(errors="replace").strip(),
        )


def _report(place: Path, form: Form) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] | None = read_json(place / "own/report", form)
    except (ValueError, OSError):
        return None
    return found


def _memory_of(unit: str) -> int:
    main = int(systemd.show(unit, "MainPID")["MainPID"])
    return max((private_memory(child) for child in children_of(main)), default=0)


def _told(place: Path) -> str:
    """What its worker raised, else the end of its log."""
    return raised_in(_log(place)) or app_frames(_last_lines(place))


def _last_lines(place: Path) -> str:
    return "\n".join(_log(place).splitlines()[-_LAST_LINES:])


def _log(place: Path) -> str:
    try:
        return (place / "log").read_text(errors="replace")
    except OSError:
        return ""
