"""What is passed on line by line while it is printed: the app's log, and a command in its live release."""

from __future__ import annotations

import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from segue.core.errors import Refused
from segue.server.folders import lay_open
from segue.server.home import home_of
from segue.server.installed import Installed
from segue.server.layout import Layout
from segue.server.request import Request
from segue.server.services import Services
from segue.server.tasks import confined, unit_of
from segue.server.terminal import on_terminal

Answer = tuple[dict[str, Any], int]
Say = Callable[[dict[str, Any]], None]


def printed(layout: Layout, installed: Installed, request: Request, say: Say, stdin: IO[bytes]) -> Answer:
    """Do what `request` asks for, one of `request.PRINTS`, and `say` every line of it.

    What is typed at the asker's terminal, where it has one, comes by `stdin`.

    Raises:
        Refused: nothing is live.
    """
    if request.verb == "logs":
        return _logs(layout, request, say)
    return _run(layout, installed, request, say, stdin)


def _logs(layout: Layout, request: Request, say: Say) -> Answer:
    lines = max(0, int(request.args.get("lines") or 0))
    follow = ("--follow",) if request.args.get("follow") else ()
    units = (layout.service_template.replace("@", "@*"), layout.process_units)
    which = (f"--unit={unit}" for unit in units)
    argv = ("journalctl", *which, "--output=short-iso", "--quiet", f"--lines={lines}", *follow)
    _pass_on(argv, say)
    return {"ok": True}, 0


def _run(layout: Layout, installed: Installed, request: Request, say: Say, stdin: IO[bytes]) -> Answer:
    home = home_of(layout)
    live = home.read_record().live
    if live is None:
        hint = "`segue deploy` brings in the first release"
        raise Refused("no_live", "Nothing is live yet.", evidence=f"looked in {home.root}", hint=hint)
    start = Services(home, installed).generation(live).start()
    with tempfile.TemporaryDirectory(prefix=f"segue-{layout.app}-run-", dir=layout.tasks) as name:
        folder = Path(name)
        lay_open(folder, installed.user)
        seated, end = "term" in request.args, lambda: _stop(unit_of(folder))
        argv = confined(
            *(layout, installed, folder, request.command),
            cwd=Path(start["root"]),
            env=start["environ"],
            carrier="--pty" if seated else "--pipe",
        )
        status = on_terminal(argv, say, stdin, request.args, end) if seated else _pass_on(argv, say, end)
    return {"ok": status == 0, "generation": live, "status": status}, 0


def _stop(unit: str) -> None:
    subprocess.run(("systemctl", "stop", unit), stdin=subprocess.DEVNULL, capture_output=True, check=False)


def _pass_on(argv: tuple[str, ...], say: Say, end: Callable[[], None] | None = None) -> int:
    """Say what `argv` prints, line by line; its status. When who asked is gone, `end` ends it."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(argv, **streams) as process:  # type: ignore[call-overload]
        act = end or process.terminate
        threading.Thread(target=_end_with_asker, args=(act,), daemon=True).start()
        try:
            for line in process.stdout:
                say({"event": {"event": "printed", "text": line.decode(errors="replace").rstrip("\n")}})
        except BaseException:
            # nobody hears it any more
            act()
            raise
        return int(process.wait())


def _end_with_asker(end: Callable[[], None]) -> None:
    poll = select.poll()
    poll.register(sys.stdin.fileno(), select.POLLHUP | select.POLLERR)
    poll.poll()
    end()
