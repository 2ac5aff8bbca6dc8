"""Peers behind a real nginx: a server that is reloaded there, and two that nginx's reload changes over."""

from __future__ import annotations

import contextlib
import http.client
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.support.nginx import Front, front

from benchmarks.peers import alone
from benchmarks.peers.alone import BOOT_TIMEOUT, STOP_TIMEOUT, Alone, Server
from benchmarks.peers.asking import TICK
from benchmarks.peers.place import HOST, Place

CHECK_TIMEOUT = 5.0
NAME = "shop"
SITE = """\
server {{
    listen {host}:{door};
    location / {{
        proxy_pass http://{host}:{port};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Connection "";
    }}
}}
"""


@dataclass
class Proxied:
    """A server behind nginx, which never changes."""

    nginx: Front
    server: Alone

    @property
    def url(self) -> str:
        """Nginx's."""
        return self.nginx.url

    def deploy(self, version: str) -> None:
        """The server's own way."""
        self.server.deploy(version)

    def is_leaving(self) -> bool:
        """The server's word."""
        return self.server.is_leaving()

    def processes(self) -> list[int]:
        """The server's."""
        return self.server.processes()


@contextlib.contextmanager
def proxied(server: Alone) -> Iterator[Proxied]:
    """`server` serves behind nginx until the block ends."""
    with front() as nginx, alone.serving(server):
        _lead(nginx, server)
        yield Proxied(nginx, server)


@dataclass
class BlueGreen:
    """A script: start beside, check, have nginx read the new port, stop the old one."""

    nginx: Front
    live: Server
    make: Callable[[], Server]
    told: bool = False
    candidate: Server | None = None

    @property
    def url(self) -> str:
        """Nginx's."""
        return self.nginx.url

    def deploy(self, version: str) -> None:
        """The script."""
        del version
        self.told = False
        self.candidate = self.make()
        self.candidate.start()
        if not _is_healthy(self.candidate):
            self.candidate.end()
            self.candidate = None
            return
        self.nginx.nginx.install(NAME, _site(self.nginx, self.candidate))
        self.nginx.nginx.master().process.signal(signal.SIGHUP)  # as nginx -s reload does
        old, self.live, self.candidate = self.live, self.candidate, None
        old.process.terminate()
        self.told = True
        old.process.wait(STOP_TIMEOUT)

    def is_leaving(self) -> bool:
        """Whether the old one has been stopped."""
        return self.told

    def processes(self) -> list[int]:
        """Both servers'."""
        both = [self.live, self.candidate]
        return [pid for server in both if server for pid in server.processes()]


@contextlib.contextmanager
def blue_green(place: Place) -> Iterator[BlueGreen]:
    """Two Gunicorns in turns behind nginx, until the block ends."""
    servers: list[Server] = []

    def make() -> Server:
        servers.append(Server(place, alone.GTHREAD))
        return servers[-1]

    with front() as nginx:
        first = make()
        first.start()
        try:
            if not _is_healthy(first):
                raise RuntimeError("the first server did not start")
            _lead(nginx, first)
            yield BlueGreen(nginx, first, make)
        finally:
            for server in servers:
                server.end()


def _lead(nginx: Front, server: Server) -> None:
    """Have nginx lead to `server`, and see that it does."""
    nginx.nginx.install(NAME, _site(nginx, server))
    nginx.nginx.reload()


def _site(nginx: Front, server: Server) -> str:
    return SITE.format(host=HOST, door=nginx.doors.http, port=server.port)


def _is_healthy(server: Server) -> bool:
    """Whether it answers its check with 200 in good time."""
    deadline = time.monotonic() + BOOT_TIMEOUT
    while time.monotonic() < deadline and server.process.poll() is None:
        if (status := _check(server)) is not None:
            return status == http.client.OK
        time.sleep(TICK)
    return False


def _check(server: Server) -> int | None:
    """What its check answers; None before it listens."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=CHECK_TIMEOUT)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    return None
