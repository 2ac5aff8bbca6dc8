"""The door that users come in by: nginx's site that leads to the service, else the service's own socket."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segue.core.address import Address, parse_address
from segue.core.errors import SegueError
from segue.front.nginx import Nginx
from segue.front.tree import Directive, read_tree

_UPSTREAM = re.compile(r"https?://([^/:]+)(?:[/:].*)?")
_UNIX = re.compile(r"(?:https?://)?(unix:[^:]+)(?::.*)?")
_TCP = re.compile(r"(?:https?://)?((?:\[[^]]+\]|[\w.-]+):\d+)(?:/.*)?")
_PORT = re.compile(r"(?:.*:)?(\d+)")
_PASSES = ("proxy_pass", "uwsgi_pass", "grpc_pass")
_LOCALHOST = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - compared, not bound
# as nginx's own format of access logs has the status; a format of one's own may hide it
_STATUS = re.compile(rb'" (50[234]) ')
_TROUBLE = (
    b"while connecting to upstream",
    b"while reading response header from upstream",
    b"no live upstreams",
)
_USUAL_LOGS = ("/var/log/nginx/access.log", "/var/log/nginx/error.log")


@dataclass(frozen=True)
class Door:
    """Where users knock.

    Attributes:
        host: what they call the site.
        connect: where it is reached on this machine.
        is_secure: whether they come by https.
        site: where nginx's config says so; empty where nginx does not lead to the service.
        logs: nginx's logs for it.
    """

    host: str
    connect: Address
    is_secure: bool = False
    site: str = ""
    logs: tuple[Path, ...] = ()

    def url(self, path: str) -> str:
        """The URL of `path` there."""
        return f"{'https' if self.is_secure else 'http'}://{self.host}{path}"

    def describe(self) -> str:
        """It, for people."""
        return f"{self.host} by nginx ({self.site})" if self.site else f"{self.connect}, no nginx before it"


def find_door(addresses: frozenset[Address], nginx: Nginx) -> Door:
    """The door to a service that listens on `addresses`."""
    with contextlib.suppress(SegueError, OSError):
        tree = read_tree(nginx.conf)
        nginx.master()
        for door in _sites(tree, {_resolved(address) for address in addresses}):
            return door
    address = min(addresses, key=str)
    return Door(address.host_header, address.reachable)


def _sites(tree: Directive, addresses: set[Address]) -> Iterator[Door]:
    for http in tree.inner("http"):
        upstreams = {each.args[0]: each for each in http.inner("upstream") if each.args}
        for server in http.inner("server"):
            if any(_leads(each, upstreams) & addresses for each in _passes(server)):
                yield _door(http, server)


def _passes(block: Directive) -> Iterator[Directive]:
    for each in block.block:
        if each.name in _PASSES and each.args:
            yield each
        yield from _passes(each)


def _leads(directive: Directive, upstreams: dict[str, Directive]) -> set[Address]:
    to = directive.args[0]
    named = _UPSTREAM.fullmatch(to)
    if named and named[1] in upstreams:
        servers = upstreams[named[1]].inner("server")
        return {address for server in servers for address in _addresses(server.args[0])}
    return set(_addresses(to))


def _addresses(text: str) -> Iterator[Address]:
    found = _UNIX.fullmatch(text) or _TCP.fullmatch(text)
    if found:
        with contextlib.suppress(ValueError):
            yield _resolved(parse_address(found[1].rstrip("/") if found[1].startswith("unix") else found[1]))


def _resolved(address: Address) -> Address:
    """One form for one place."""
    if address.path:
        return Address(path=os.path.realpath(address.path))
    return Address("localhost" if address.host in _LOCALHOST else address.host, address.port)


def _door(http: Directive, server: Directive) -> Door:
    names = [word for each in server.inner("server_name") for word in each.args]
    # ".shop.example" stands for shop.example, and for all below it
    plain = [
        name
        for name in (name.lstrip(".") for name in names)
        if re.fullmatch(r"[\w.-]+", name) and name != "_"
    ]
    listens = [
        each.args for each in server.inner("listen") if each.args and not each.args[0].startswith("unix")
    ]
    first = listens[0] if listens else ("80",)
    port = _PORT.fullmatch(first[0])
    return Door(
        host=plain[0] if plain else "localhost",
        connect=Address("127.0.0.1", int(port[1]) if port else 80),
        is_secure="ssl" in first[1:],
        site=server.where,
        logs=tuple(_logs(http, server)),
    )


def _logs(http: Directive, server: Directive) -> Iterator[Path]:
    for name, usual in zip(("access_log", "error_log"), _USUAL_LOGS, strict=True):
        found = [each.args[0] for block in (server, http) for each in block.inner(name) if each.args]
        path = found[0] if found else usual
        if path.startswith("/"):
            yield Path(path)


class Witness:
    """nginx's logs from now on: what users were told that went wrong."""

    def __init__(self, door: Door) -> None:
        self._ends = {path: _size(path) for path in door.logs}

    def complaints(self) -> list[str]:
        """The lines since then that tell of an answer that the service did not give."""
        return [line for path, end in self._ends.items() for line in _complaints(path, end)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _complaints(path: Path, since: int) -> Iterator[str]:
    with contextlib.suppress(OSError), path.open("rb") as file:
        # rotated meanwhile: all of it is new
        file.seek(since if since <= _size(path) else 0)
        for line in file:
            if _STATUS.search(line) or any(words in line for words in _TROUBLE):
                yield line.decode(errors="replace").rstrip()
