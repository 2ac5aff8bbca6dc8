"""``segue-exec``: the one command that the deploy user may run as root.

It takes one request as a line of JSON on standard input, and answers in the lines of `segue.deploy.protocol`.
A deploy runs in a unit of its own, so the end of this process, or of the ssh that carries it, ends nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from segue.core.errors import Bug, Refused, SegueError, Stranded, UsageError
from segue.deploy.protocol import LONGEST_LINE, decode, encode
from segue.disk.atomic import write_json
from segue.server import systemd
from segue.server.installed import Installed, read_installed
from segue.server.layout import Layout
from segue.server.look import look
from segue.server.printed import printed
from segue.server.request import LOOKS, PRINTS, Request, read_request

POLL = 0.05
BEGIN_TIMEOUT = 30.0
LOOK_INTERVAL = 1.0
KEPT = 86400.0

Answer = tuple[dict[str, Any], int]


def main() -> int:
    """Answer the request on standard input; the exit code is the answer's."""
    os.umask(0o022)
    try:
        # unbuffered: what is not read yet has to show in `select`, and no thread may hold a lock at the end
        document, code = _answer(open(0, "rb", buffering=0, closefd=False))  # noqa: SIM115 - it stays open
    except SegueError as error:
        document, code = {"ok": False, "error": error.as_dict()}, error.exit_code
    except BrokenPipeError:
        return 0  # nobody follows any more; what was begun goes on
    except Exception as error:  # noqa: BLE001 - one bad request must tell what became of it
        bug = Bug("bug", f"segue-exec failed: {error!r}.")
        document, code = {"ok": False, "error": bug.as_dict()}, bug.exit_code
    with contextlib.suppress(BrokenPipeError):
        _say({"document": document, "exit_code": code})
    return code


def _answer(stdin: IO[bytes]) -> Answer:
    if os.geteuid() != 0:
        raise Refused("not_root", "segue-exec has to be run by sudo.", hint="`segue` runs it so by itself")
    line = stdin.readline(LONGEST_LINE)
    try:
        request = read_request(decode(line))
    except ValueError as error:
        raise UsageError("request", f"That is no request: {error}.") from None
    layout = Layout(request.app)
    installed = read_installed(layout)
    request = _asked_by(request, installed)
    if request.verb in PRINTS:
        return printed(layout, installed, request, _say, stdin)
    if request.verb in LOOKS:
        return look(layout, installed, request), 0
    if request.args.get("dry_run"):
        return _plan(layout, installed, request), 0
    return _deploy(layout, request, stdin)


def _asked_by(request: Request, installed: Installed) -> Request:
    """`request`, by whom sudo says that it is.

    Raises:
        Refused: they may not ask for this app.
    """
    user = os.environ.get("SUDO_USER", "root")
    if user not in ("root", installed.deploy_user):
        raise Refused(
            "not_yours",
            f"{user} may not deploy {request.app}.",
            evidence=f"its deploy user is {installed.deploy_user}",
            hint="`sudo segue setup` decides who may",
        )
    said = f"{request.by} ({user})" if request.by not in ("", user) else user
    return Request(**{**vars(request), "by": said})


def _plan(layout: Layout, installed: Installed, request: Request) -> dict[str, Any]:
    from segue.deploy.prepare import prepare  # noqa: PLC0415 - only a dry run needs it here
    from segue.server.ground import config_on, demand_fit, site_of  # noqa: PLC0415

    if request.config is None:
        raise UsageError("request", "That is no request.", evidence="it has no config")
    config = config_on(installed, request.config)
    site = site_of(layout, installed, config, "", lambda _event: None)
    demand_fit(installed, request)
    return prepare(site, config, request.wish()).plan.as_dict()


def _deploy(layout: Layout, request: Request, stdin: IO[bytes]) -> Answer:
    name = uuid.uuid4().hex
    _forget_old(layout.requests)
    write_json(layout.request(name), request.as_dict())
    events = layout.request_events(name)
    events.touch(mode=0o600)
    unit = layout.deploy_unit(name)
    argv = ("systemctl", "start", "--no-block", unit)
    started = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if started.returncode != 0:
        raise Stranded("systemd", f"systemd could not start {unit}.", evidence=started.stderr.strip())
    with events.open("rb") as file:
        for line in _lines(file, unit, stdin):
            message = json.loads(line)
            if "exit_code" in message:
                return message["document"], message["exit_code"]
            _say(message)
    raise Stranded(
        "executor_died",
        "The deploy's unit ended without a word.",
        evidence=f"`journalctl -u {unit}` tells more",
        hint="`segue status` says what serves",
    )


def _lines(file: IO[bytes], unit: str, stdin: IO[bytes]) -> Iterator[bytes]:
    """The lines that the deploy writes, until its unit is gone; Ctrl-C on the way goes to it."""
    listening, gone, looked = [stdin], False, time.monotonic()
    begin_by = looked + BEGIN_TIMEOUT
    while True:
        if line := _next(file):
            yield line
            begin_by = 0.0
            continue
        if gone:
            return
        now = time.monotonic()
        if now > max(begin_by, looked + LOOK_INTERVAL):
            gone, looked = _is_gone(unit), now
        if select.select(listening, (), (), POLL)[0] and not _heard(stdin, unit):
            listening = []


def _next(file: IO[bytes]) -> bytes:
    """The next line; empty where there is no whole one yet."""
    place = file.tell()
    line = file.readline()
    if line.endswith(b"\n"):
        return line
    file.seek(place)
    return b""


def _is_gone(unit: str) -> bool:
    return systemd.states([unit])[unit] not in (*systemd.ACTIVE, systemd.LEAVING)


def _heard(stdin: IO[bytes], unit: str) -> bool:
    """Pass on a wish to cancel; whether more may come."""
    line = stdin.readline(LONGEST_LINE)
    with contextlib.suppress(ValueError):
        if line and decode(line).get("verb") == "cancel":
            argv = ("systemctl", "kill", "--kill-whom=main", "--signal=INT", unit)
            subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return bool(line)


def _forget_old(folder: Path) -> None:
    for path in folder.iterdir():
        if path.stat().st_mtime < time.time() - KEPT:
            path.unlink(missing_ok=True)


def _say(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(encode(document))
    sys.stdout.buffer.flush()
