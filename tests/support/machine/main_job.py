"""The main job on a real server: deploys in a row through nginx, and all who can tell what was lost."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPMessage
from typing import Any

from tests.support.apps import Interface
from tests.support.machine.host import CHECKOUT, DEPLOY, Host
from tests.support.machine.live_streams import Streams, live_streams
from tests.support.machine.shop import DOMAIN, NAME
from tests.support.main_job import PATIENT, QUICK_SHOTS
from tests.support.site import Traffic, demand_no_loss, traffic, until
from tests.support.table import SERVERS

from segue.proof.schedule import plan_requests
from segue.proof.spec import ProbeSpec, Shot

SEGUE = "/opt/segue/bin/segue"
STATE = f"/var/lib/segue/{NAME}"
LOG, ERRORS = (f"/var/log/nginx/segue-{NAME}.{kind}.log" for kind in ("access", "error"))
RATE, SLOW_RATE = 50, 1.5
LONGEST = 3  # seconds that a slow answer takes
IMPORT_SECONDS = 1.0
TIMES = {
    "standby": "2s",
    "linger": "1s",
    "ready_timeout": "60s",
    "keep": 2,
}
CLIENT_LEFT, SERVER_ERROR = 499, 500
SLOW_SHOTS = (
    Shot(path="/stream?seconds=2"),
    Shot(method="POST", path="/upload", body=(b"x" * 10_000,) * 5, pause=0.4),
)


@dataclass(frozen=True)
class Served:
    """One way to serve the app on a server target.

    Attributes:
        settings: of `[app]`.
        interface: what kind of app it is.
        gated: whether it names its generation, and closes streams in order.
        files: the project's, besides the app's.
    """

    settings: dict[str, Any]
    interface: Interface = "wsgi"
    gated: bool = True
    files: dict[str, str] = field(default_factory=dict)


# Gunicorn ends a sync worker whose answer takes longer than 30 s, as a stream does: deploy or not
ENDLESS = "timeout = 3600\n"


def _ours(name: str, **settings: Any) -> Served:
    server = SERVERS[name]
    return Served({**server.job, **settings}, server.interface, files={"gunicorn.conf.py": PATIENT + ENDLESS})


_GUNICORN = [
    "gunicorn",
    "--bind",
    "unix:{socket}",
    "--workers=2",
    "--threads=16",
    "--graceful-timeout=20",
    "wsgi:app",
]
_UVICORN = ["uvicorn", "--uds", "{socket}", "--workers=2", "--no-access-log", "wsgi:app"]
_GRANIAN = {"requirements.txt": "granian\n"}

# the app servers by themselves, and commands that know nothing of segue
WAYS = {
    **{name: _ours(name) for name in ("sync", "gthread", "gevent", "asgi")},
    # else it prints a line for each request
    "uvicorn": _ours("uvicorn", server_args=["--no-access-log"]),
    "granian-wsgi": Served({"server": "granian", "threads": 16}, "wsgi", gated=False, files=_GRANIAN),
    "granian-asgi": Served({"server": "granian"}, "asgi", gated=False, files=_GRANIAN),
    "command-gunicorn": Served({"server": _GUNICORN}, "wsgi", gated=False),
    "command-uvicorn": Served({"server": _UVICORN}, "asgi", gated=False),
}


@dataclass
class Shop:
    """The sample app, deployed to a host; `longest` is how many seconds its slowest answer takes."""

    host: Host
    way: Served
    longest: int = LONGEST

    def commit(self, version: str, **behaviour: Any) -> None:
        """Commit the app's next version."""
        self.host.make_app(
            version=version,
            interface=self.way.interface,
            settings={**TIMES, "drain_timeout": f"{self.longest + 2}s", **self.way.settings},
            files=self.way.files,
            **behaviour,
        )

    def segue(self, *words: str, code: int = 0) -> str:
        """What a command of segue's prints, as the deploy user."""
        done = self.host.run(SEGUE, *words, user=DEPLOY, cwd=CHECKOUT, check=False, timeout=240)
        assert done.code == code, f"{done.out}\n{done.err}\n{self.host.journal()[-5000:]}"
        return done.out

    def ask(self, verb: str, *words: str, code: int = 0) -> dict[str, Any]:
        """The document that a command of segue's prints."""
        document: dict[str, Any] = json.loads(self.segue(verb, *words, "--json", code=code))
        return document

    def get(self, path: str = "/") -> tuple[int, str, HTTPMessage]:
        """What a user is answered on a new connection: status, body and headers."""
        with contextlib.closing(HTTPConnection(DOMAIN)) as connection:
            connection.sock = self.host.way.connect(f"http://{self.host.address}/", 10)
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read().decode(), response.headers

    def record(self) -> dict[str, Any]:
        """What the server has on record."""
        record: dict[str, Any] = json.loads(self.host.read(f"{STATE}/record.json"))
        return record

    def active(self) -> list[str]:
        """The units of generations that are active."""
        words = ("list-units", "--plain", "--no-legend", "--state=active,activating,deactivating,failed")
        listed = self.host.run("systemctl", *words, f"segue-{NAME}@*").out
        return sorted(line.split()[0] for line in listed.splitlines())

    def is_alone(self) -> bool:
        """Whether the live generation is all there is."""
        kinds = ("service", "socket") if self.way.gated else ("service",)
        live = self.record()["live"]
        return self.active() == [f"segue-{NAME}@{live}.{kind}" for kind in kinds]


def set_up(host: Host, way: Served, longest: int = LONGEST) -> Shop:
    """A host with the app's first release."""
    shop = Shop(host, way, longest)
    shop.commit("v1")
    host.run(SEGUE, "setup", "production", "--yes", cwd=CHECKOUT, timeout=240)
    shop.ask("deploy", "production")
    return shop


@dataclass
class Load:
    """Everything that users do meanwhile."""

    quick: Traffic
    slow: Traffic
    streams: Streams | None


@contextlib.contextmanager
def users(shop: Shop, *, streams: bool = True) -> Iterator[Load]:
    """Pages and orders, slow answers and uploads, and `streams` where the server can end them in order."""
    loaded = functools.partial(
        traffic, f"http://{DOMAIN}/", connect=f"{shop.host.address}:80", way=shop.host.way
    )
    with contextlib.ExitStack() as stack:
        slowest = Shot(path=f"/slow?seconds={shop.longest}")
        slow = stack.enter_context(loaded(rate=SLOW_RATE, keep_alive=0.0, shots=(slowest, *SLOW_SHOTS)))
        quick = stack.enter_context(loaded(rate=RATE, shots=QUICK_SHOTS))
        followed = None
        if shop.way.gated and streams:
            followed = stack.enter_context(live_streams(shop.host, shop.way.interface))
        yield Load(quick, slow, followed)


def carry_out(shop: Shop, deploys: int) -> None:
    """Deploy v2, v3 and on."""
    for version in (f"v{number}" for number in range(2, deploys + 2)):
        shop.commit(version, import_seconds=IMPORT_SECONDS)
        receipt = shop.ask("deploy", "production")
        demand_clean(receipt)
        # what would never end was closed, and so the old generation could be kept warm
        assert not [note for note in receipt["notes"] if "kept warm" in note]
        demand_answered_by(shop, version, receipt["generation"])


def demand_clean(receipt: dict[str, Any]) -> None:
    """The receipt says that nothing was lost or cut."""
    assert receipt["lost"] == {"by_probe": 0, "held_by_crashed": 0}, receipt["traffic"]
    assert receipt["cut"] == 0
    assert receipt["traffic"]["sent"] > 0


def demand_answered_by(shop: Shop, version: str, generation: str) -> None:
    """New connections reach that version, and the generation that is on record."""
    status, body, headers = shop.get()
    assert (status, body) == (200, version)
    assert shop.record()["live"] == generation
    if shop.way.gated:
        assert headers["X-Segue-Generation"] == generation


def demand_unnoticed(shop: Shop, load: Load) -> int:
    """The probes, the streams and nginx say that nothing was lost; how many requests nginx knows."""
    for each in (load.quick, load.slow):
        demand_no_loss(each)
    if load.streams is not None:
        assert load.streams.lost == []
    return len(demand_clean_logs(shop))


def demand_clean_logs(shop: Shop) -> list[dict[str, Any]]:
    """Neither of nginx's logs has anything that went wrong; the requests that it knows."""
    entries = [json.loads(line) for line in shop.host.read(LOG).splitlines()]
    bad = [entry for entry in entries if int(entry["status"]) >= CLIENT_LEFT]
    assert bad == []
    assert shop.host.read(ERRORS) == ""
    return entries


def demand_orders_stored_once(shop: Shop, quick: Traffic) -> None:
    """The app stored every order that was sent, and each of them once; nginx passed on as many."""
    planned = plan_requests(ProbeSpec(url=f"http://{DOMAIN}/", rate=RATE, shots=QUICK_SHOTS))
    sent = itertools.islice(planned, quick.report["sent"])
    orders = [request.number for request in sent if request.shot.method == "POST"]
    stored = [int(line) for line in shop.host.read(f"/srv/{NAME}/shared/instance/orders.log").split()]
    assert len(orders) == quick.report["statuses"]["201"]
    assert sorted(stored) == orders
    passed = Counter(entry["status"] for entry in map(json.loads, shop.host.read(LOG).splitlines()))
    assert passed["201"] == len(orders)


def main_job(host: Host, way: str, *, deploys: int, longest: int = LONGEST) -> dict[str, int]:
    """The whole job, and all of its witnesses; the numbers, for people."""
    shop = set_up(host, WAYS[way], longest)
    with users(shop) as load:
        carry_out(shop, deploys)
    until(shop.is_alone, 60, "the end of all but the live generation")
    # the record comes to rest last
    until(lambda: "standby" not in shop.record(), 60, "a record without a standby")
    if shop.way.gated:
        assert len(load.quick.report["generations"]) == 1 + deploys
    by_nginx = demand_unnoticed(shop, load)
    demand_orders_stored_once(shop, load.quick)
    opened = load.streams.opened if load.streams else 0
    sent = {"quick": load.quick.report["sent"], "slow": load.slow.report["sent"]}
    return {**sent, "streams": opened, "by_nginx": by_nginx}
