"""Server-sent events and a WebSocket through nginx, by clients that come back as browsers do."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.machine.host import Host
from tests.support.machine.shop import DOMAIN
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

TIMEOUT = 60.0
# the service restarts: clients come back
RESTARTING = 1012


@dataclass
class Streams:
    """What the clients saw.

    Attributes:
        opened: how many streams began.
        lost: how those ended that did not end in order.
        generations: who served them.
    """

    host: Host
    opened: int = 0
    lost: list[str] = field(default_factory=list)
    generations: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def until_over(self, follow: Callable[[Streams], None]) -> None:
        """Open one stream after the other, until nobody wants any more."""
        while not self.over.is_set():
            try:
                follow(self)
            except Exception as error:  # noqa: BLE001 - whatever it is, this stream is lost
                self.lost.append(f"{follow.__name__}: {error!r}")
                self.over.wait(0.2)

    def began(self, generation: str | None) -> None:
        """A stream was answered by `generation`."""
        self.opened += 1
        self.generations.add(generation or "")


def events(streams: Streams) -> None:
    """One stream of server-sent events, to its end."""
    connection = http.client.HTTPConnection(DOMAIN)
    with contextlib.closing(connection):
        connection.sock = streams.host.way.connect(f"http://{streams.host.address}/", TIMEOUT)
        connection.request("GET", "/events", headers={"Connection": "close"})
        response = connection.getresponse()
        assert response.status == 200
        streams.began(response.headers["X-Segue-Generation"])
        # the end of the last chunk is what tells a stream that was ended from one that was cut
        while response.read1() and not streams.over.is_set():
            pass


def conversation(streams: Streams) -> None:
    """One WebSocket, to its end."""
    made = streams.host.way.connect(f"http://{streams.host.address}/", TIMEOUT)
    with connect(f"ws://{DOMAIN}/echo", sock=made, open_timeout=TIMEOUT, proxy=None) as websocket:
        assert websocket.response is not None
        streams.began(websocket.response.headers["X-Segue-Generation"])
        try:
            while not streams.over.wait(0.1):
                websocket.send("hello")
                assert websocket.recv(TIMEOUT) == "hello"
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != RESTARTING:
                raise


@contextlib.contextmanager
def live_streams(host: Host, interface: str) -> Iterator[Streams]:
    """Such clients of `host`, for as long as the block; WebSockets where the app knows them."""
    streams = Streams(host)
    kinds = (events, conversation) if interface == "asgi" else (events,)
    threads = [threading.Thread(target=streams.until_over, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
    try:
        yield streams
    finally:
        streams.over.set()
        for thread in threads:
            thread.join(TIMEOUT)
