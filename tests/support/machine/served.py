"""An app that a host serves: set up, deployed, asked as people ask, and looked at as root."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.apps import SOURCES
from tests.support.machine.host import CHECKOUT, DEPLOY, Host, booted
from tests.support.machine.shop import DOMAIN, NAME
from tests.support.site import Outcome, Traffic, traffic, until

SEGUE = "/opt/segue/bin/segue"
TARGET = "production"
STATE, SOCKETS = f"/var/lib/segue/{NAME}", f"/run/segue/{NAME}"
DEPLOY_TIMEOUT = 240.0
_NGINX = "/var/log/nginx/segue-shop"


@dataclass(frozen=True)
class Look:
    """All that a refused deploy must leave as it was."""

    record: dict[str, Any]
    link: str
    current: str
    units: tuple[str, ...]
    sockets: tuple[str, ...]


@dataclass
class Served:
    """The sample app on `host`."""

    host: Host

    def edit(self, version: str, added: str = "", **behaviour: Any) -> None:
        """Put the app's next version into the deploy user's checkout; `added` ends its wsgi.py."""
        files = dict(behaviour.pop("files", {}))
        if added:
            files["wsgi.py"] = f"{SOURCES[behaviour.get('interface', 'wsgi')].read_text()}\n{added}\n"
        self.host.run("rm", "-f", f"{CHECKOUT}/gunicorn.conf.py")
        self.host.make_app(version=version, files=files, **behaviour)

    def segue(self, *words: str, user: str = DEPLOY) -> Outcome:
        """Run one segue command in the checkout."""
        return self.host.run(SEGUE, *words, user=user, cwd=CHECKOUT, check=False, timeout=DEPLOY_TIMEOUT)

    def ask(self, verb: str, *words: str, code: int = 0) -> dict[str, Any]:
        """What segue answers to machines; it has to end with `code`."""
        done = self.segue(verb, TARGET, *words, "--json")
        assert done.code == code, f"{done.out}\n{done.err}\n{self.host.journal()[-3000:]}"
        return done.document

    def start(self, verb: str, *words: str) -> subprocess.Popen[str]:
        """Ask, and leave who asks running."""
        return self.host.start(SEGUE, verb, TARGET, *words, "--json", user=DEPLOY, cwd=CHECKOUT)

    def record(self) -> dict[str, Any]:
        """The record."""
        document: dict[str, Any] = json.loads(self.host.read(f"{STATE}/record.json"))
        return document

    def last_receipt(self) -> dict[str, Any]:
        """The newest receipt."""
        newest = self.host.run("ls", "-t", f"{STATE}/receipts").out.split()[0]
        document: dict[str, Any] = json.loads(self.host.read(f"{STATE}/receipts/{newest}"))
        return document

    def units(self) -> list[str]:
        """The units of generations, deploys and tasks that systemd knows of, failed ones too."""
        names = ("segue-shop@*", "segue-shop-deploy@*", "segue-shop-task-*")
        words = ("systemctl", "list-units", "--all", "--plain", "--no-legend")
        return sorted(line.split()[0] for line in self.host.run(*words, *names).out.splitlines())

    def is_quiet(self) -> bool:
        """Whether nothing is under way: the live generation's units are all there are."""
        return len(self.units()) == len(("service", "socket"))

    def look(self) -> Look:
        """How things stand."""
        link, current = self.host.run(
            "readlink", f"{SOCKETS}/front/live.sock", "/srv/shop/current"
        ).out.split()
        return Look(
            self.record(),
            link,
            current,
            tuple(self.units()),
            tuple(sorted(self.host.run("ls", SOCKETS).out.split())),
        )

    def answer(self, path: str = "/") -> str:
        """What a user is answered."""
        curl = ("curl", "-s", "--max-time", "20", "-H", f"Host: {DOMAIN}", f"http://127.0.0.1{path}")
        return self.host.run(*curl, check=False).out

    @contextlib.contextmanager
    def traffic(self, path: str = "/", rate: float = 100) -> Iterator[Traffic]:
        """Traffic as users send it."""
        url, way = f"http://{DOMAIN}{path}", self.host.way
        with traffic(url, rate=rate, connect=f"{self.host.address}:80", way=way) as load:
            yield load

    def errors_of_nginx(self) -> list[str]:
        """What nginx counts as its or the app's failure, ever."""
        answers = self.host.run("cat", f"{_NGINX}.access.log").out.splitlines()
        return [
            *(line for line in answers if int(json.loads(line)["status"]) >= 500),
            *self.host.run("cat", f"{_NGINX}.error.log", check=False).out.splitlines(),
        ]


@contextlib.contextmanager
def served(**settings: Any) -> Iterator[Served]:
    """A new host that serves version `good` of the app, with `settings` in its config."""
    with booted() as host:
        app = Served(host)
        app.edit("good", **settings)
        host.run(SEGUE, "setup", TARGET, "--yes", cwd=CHECKOUT, timeout=DEPLOY_TIMEOUT)
        app.ask("deploy")
        until(app.is_quiet, what="the end of the deploy's unit")
        yield app
