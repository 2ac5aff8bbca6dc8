"""The way between clients and a server: none, or a long one."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

GET_TIMEOUT = 30.0


@dataclass(frozen=True)
class Way:
    """How a test's processes and connections get to their side of it.

    Attributes:
        host: the server's address.
        server: the command that runs another one on the server's side.
        client: the command that runs another one on the clients' side.
        open_socket: makes a TCP socket on the clients' side.
        round_trip: seconds that a packet and its answer take.
    """

    host: str = "127.0.0.1"
    server: tuple[str, ...] = ()
    client: tuple[str, ...] = ()
    open_socket: Callable[[], socket.socket] = socket.socket
    round_trip: float = 0.0

    def connect(self, url: str, timeout: float) -> socket.socket:
        """A client's connection to the address in `url`."""
        address = urlsplit(url)
        made = self.open_socket()
        made.settimeout(timeout)
        try:
            made.connect((str(address.hostname), int(address.port or 80)))
        except BaseException:
            made.close()
            raise
        return made

    @contextlib.contextmanager
    def get(self, url: str, timeout: float = GET_TIMEOUT) -> Iterator[HTTPResponse]:
        """The answer to a GET over a new connection."""
        with contextlib.closing(HTTPConnection(urlsplit(url).netloc)) as connection:
            connection.sock = self.connect(url, timeout)
            connection.request("GET", urlsplit(url).path or "/", headers={"Connection": "close"})
            yield connection.getresponse()


NEAR = Way()
