"""A real nginx with a config of its own in Debian's layout, and servers at unix sockets behind it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.site import until

from segue.config.schema import Target
from segue.core.errors import Refused
from segue.front.link import Link, StaticLink
from segue.front.log import AccessLog
from segue.front.nginx import Nginx
from segue.front.site import Doors, StaticPlace, access_log, error_log, render_site

APPS = Path(__file__).parent.parent / "apps"
# a normal user's PATH often has no sbin
PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
HAS_IPV6 = Path("/proc/net/if_inet6").exists()
needs_nginx = pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed: apt install nginx-light")

ONE, TWO = "20261121T013455-8c1f2e9.1", "20261121T013500-8c1f2e9.1"
WORKERS = 2
END_TIMEOUT = 60.0
# below those that Linux gives, by default, to who asks for any
_PORTS = range(10240, 32768)

CONF = """\
{user}pid {root}/nginx.pid;
error_log {root}/logs/error.log;
worker_processes {workers};
events {{ worker_connections 4096; }}
http {{
    access_log {root}/logs/access.log;
    client_body_temp_path {root}/temp/body;
    proxy_temp_path {root}/temp/proxy;
    fastcgi_temp_path {root}/temp/fastcgi;
    uwsgi_temp_path {root}/temp/uwsgi;
    scgi_temp_path {root}/temp/scgi;
    include {root}/nginx/conf.d/*.conf;
    include {root}/nginx/sites-enabled/*;
}}
"""


def free_port() -> int:
    """A port that was free a moment ago, and that nobody is given who asks for any."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probing, contextlib.suppress(OSError):
            probing.bind(("", port))
            return port


@dataclass
class Front:
    """A running nginx, the link of one app, and the servers behind it.

    Attributes:
        root: a short path, for there are sockets in it.
    """

    root: Path
    process: subprocess.Popen[bytes] | None = None
    doors: Doors = field(default_factory=lambda: Doors(free_port(), free_port(), HAS_IPV6))
    servers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def nginx(self) -> Nginx:
        """What is under test."""
        return Nginx(self.root / "nginx", PROGRAM or "nginx")

    @property
    def logs(self) -> Path:
        """The folder of all logs."""
        return self.root / "logs"

    @property
    def link(self) -> Link:
        """The app's link."""
        return Link(self.root / "front")

    @property
    def log(self) -> AccessLog:
        """The app's access log."""
        return AccessLog(access_log("shop", self.logs))

    @property
    def url(self) -> str:
        """Where users come in."""
        return f"http://127.0.0.1:{self.doors.http}"

    @property
    def orders(self) -> list[int]:
        """The orders that the servers stored."""
        file = self.root / "orders"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def complaints(self) -> str:
        """What nginx said went wrong with requests to the app."""
        file = error_log("shop", self.logs)
        return file.read_text() if file.exists() else ""

    def site(self, app: str = "shop", static: str | None = None, **settings: Any) -> str:
        """The text of a site for the servers here, with static files at the path `static`."""
        target = Target.model_validate({"domain": "shop.example", **settings})
        place = None if static is None else StaticPlace(static, StaticLink(self.link.folder).path)
        return render_site(app, target, self.link.path, doors=self.doors, logs=self.logs, static=place)

    def start(self) -> None:
        """Start nginx, and wait until it has workers."""
        words = ("-c", str(self.nginx.conf), "-g", "daemon off;")
        with (self.logs / "stderr").open("ab") as output:
            self.process = subprocess.Popen(
                (self.nginx.program, *words), stdout=output, stderr=output, start_new_session=True
            )
        until(self._serves, what="nginx serving")

    def _serves(self) -> bool:
        # nginx writes its pid before it takes its title, by which a master is known
        with contextlib.suppress(Refused):
            return bool(self.nginx.master().serving())
        return False

    def generation(
        self, generation: str, argv: tuple[str, ...] = (), *, cwd: Path = APPS
    ) -> subprocess.Popen[bytes]:
        """Start a server as `generation`: Gunicorn with an app that names it, or `argv` with ``{socket}``."""
        path = self.root / generation / "http.sock"
        path.parent.mkdir()
        # kept for longer than a busy machine may hold up a test that asks on a kept connection
        options = ("--no-control-socket", "--threads=8", "--keep-alive=75", "--bind=unix:{socket}")
        gunicorn = ("gunicorn", *options, "named:app")
        words = [word.format(socket=path) for word in (sys.executable, "-m", *(argv or gunicorn))]
        environ = {**os.environ, "GENERATION": generation, "ORDERS": str(self.root / "orders")}
        with (self.logs / generation).open("ab") as output:
            self.servers[generation] = subprocess.Popen(
                words, stdout=output, stderr=output, cwd=cwd, env=environ, start_new_session=True
            )
        until(lambda: is_answering(path), what=f"{generation} answering")
        return self.servers[generation]

    def end(self) -> None:
        """End all that was started here."""
        for process in (self.process, *self.servers.values()):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(END_TIMEOUT)


def is_answering(path: Path) -> bool:
    """Whether a server answers at that socket."""
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.settimeout(1)
        client.connect(str(path))
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return client.recv(1) == b"H"
    return False


@contextlib.contextmanager
def front() -> Iterator[Front]:
    """An nginx that runs with no site yet; at the end all that the test started is gone."""
    with tempfile.TemporaryDirectory(prefix="sg", dir="/tmp") as folder:
        root = Path(folder)
        for name in ("nginx/sites-available", "nginx/sites-enabled", "nginx/conf.d", "logs", "temp", "front"):
            (root / name).mkdir(parents=True)
        user = "user root;\n" if os.geteuid() == 0 else ""  # as nobody its workers could not enter here
        (root / "nginx/nginx.conf").write_text(CONF.format(root=root, user=user, workers=WORKERS))
        made = Front(root)
        try:
            made.start()
            yield made
        finally:
            made.end()
