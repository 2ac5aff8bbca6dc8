"""``python -m segue.server.keep APP``: the unit that people and the boot know.

It converges at boot, ends a standby when its time is over, and converges where an executor died and left
nobody to do so. It ends with 1 where the live generation is down for good, so that `systemctl status` tells
the truth.
Generations are units of their own; the end of this process ends none of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys

from segue.config.schema import AppConfig
from segue.core.errors import Refused, SegueError
from segue.core.record import Phase, Record
from segue.deploy.background import Shift, to_do
from segue.deploy.protocol import encode
from segue.deploy.run import Site
from segue.disk.atomic import read_json
from segue.disk.events import append_event
from segue.server import systemd
from segue.server.come_to_rest import bring_processes, come_to_rest
from segue.server.ground import config_on, site_of
from segue.server.installed import read_installed
from segue.server.layout import Layout
from segue.server.request import Request
from segue.server.stop import stop_all

LOOK_INTERVAL = 2.0
# a live unit that is down is started again by systemd within a second; longer is for good
DOWN_LIMIT = 15.0
# between two tries to start what systemd could not start
BRING_INTERVAL = 15.0


def main() -> None:
    """Keep the app until told to stop; or do what ExecStop and ExecReload want."""
    app, *words = sys.argv[1:]
    os.umask(0o022)
    layout = Layout(app)
    if words == ["stop"]:
        stop_all(layout)
    elif words == ["reload"]:
        sys.exit(_reload(layout))
    else:
        sys.exit(asyncio.run(_keep(layout)))


def _site(layout: Layout) -> Site:
    installed = read_installed(layout)
    config = config_on(installed, AppConfig.model_validate({"name": layout.app}))
    say = lambda event: append_event(layout.events, event)  # noqa: E731 - its one line says it
    return site_of(layout, installed, config, layout.keeper_unit, say)


async def _keep(layout: Layout) -> int:
    site, told = _site(layout), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    try:
        await _settle(layout, stand_down=True)
    except SegueError as error:
        _complain(error)
        return 1
    _tell_systemd("READY=1")
    watching = asyncio.create_task(Watch(site, layout).watch())
    stopping = asyncio.create_task(told.wait())
    await asyncio.wait((watching, stopping), return_when=asyncio.FIRST_COMPLETED)
    return watching.result() if watching.done() else 0


async def _settle(layout: Layout, *, stand_down: bool) -> None:
    # read anew: `segue setup` may have decided otherwise since this process began
    site = _site(layout)
    # a deploy that is under way comes to rest by itself
    with contextlib.suppress(Refused):
        await come_to_rest(site, stand_down=stand_down)


class Watch:
    """Looks at the record and the live unit, now and then."""

    def __init__(self, site: Site, layout: Layout) -> None:
        self._site = site
        self._layout = layout
        self._warm: tuple[str, float] | None = None
        self._down_since: float | None = None
        self._bring_again = 0.0

    async def watch(self) -> int:
        """Do so until the live generation is down for good; the exit code that says so."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            try:
                if await self._look(clock()):
                    return 1
            except (SegueError, OSError) as error:
                _complain(error)

    async def _look(self, now: float) -> bool:
        record = self._site.home.read_record()
        if record.phase is not Phase.REST:
            await _settle(self._layout, stand_down=False)
            return False
        await self._end_standby(record.standby, now)
        if record.live is not None and self._is_down(record.live, now):
            return True
        await self._bring_processes(record, now)
        return False

    async def _end_standby(self, standby: str | None, now: float) -> None:
        if standby is None or self._warm is None or self._warm[0] != standby:
            self._warm = None if standby is None else (standby, now)
        elif now - self._warm[1] > float(self._site.generation(standby).start().get("standby", 0.0)):
            await _settle(self._layout, stand_down=True)
            self._warm = None

    async def _bring_processes(self, record: Record, now: float) -> None:
        """After a boot, and where an executor died or systemd failed it, nobody else does."""
        if now >= self._bring_again and to_do(self._site, record) != Shift():
            self._bring_again = now + BRING_INTERVAL
            # a deploy that is under way sees to that itself
            with contextlib.suppress(Refused):
                await bring_processes(self._site)

    def _is_down(self, live: str, now: float) -> bool:
        unit = self._layout.service(live)
        if systemd.states([unit])[unit] in systemd.ACTIVE:
            self._down_since = None
            return False
        self._down_since = self._down_since or now
        if now - self._down_since > DOWN_LIMIT:
            sys.stderr.write(f"segue: {unit}, which is live, is down\n")
            return True
        return False


def _complain(error: Exception) -> None:
    sys.stderr.write(f"segue: {getattr(error, 'message', error)}\n{getattr(error, 'evidence', '')}\n")


def _tell_systemd(word: str) -> None:
    """Systemd's own protocol for readiness, sd_notify(3)."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect(f"\0{path[1:]}" if path.startswith("@") else path)
            notify.send(word.encode())


def _reload(layout: Layout) -> int:
    """A safe restart: a deploy of the live release, with the config of the last one."""
    words = read_json(layout.config, dict)
    if words is None:
        return 0  # nothing was deployed yet
    request = Request(
        layout.app, "restart", {"wait": True}, "systemctl reload", AppConfig.model_validate(words)
    )
    line = encode(request.as_dict())
    done = subprocess.run((str(layout.exec),), input=line, capture_output=True, check=False)
    sys.stderr.buffer.write(b"".join(done.stdout.splitlines(keepends=True)[-1:]))
    return done.returncode


if __name__ == "__main__":
    main()
