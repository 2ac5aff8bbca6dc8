"""Where an app listens, as people write it: ``"127.0.0.1:8000"``, ``"[::1]:8000"``, ``"unix:/run/shop"``."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, replace

_UNIX = "unix:"
_LONGEST_PATH = 107  # bytes that fit sockaddr_un beside the closing NUL
_HIGHEST_PORT = 65535
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nobody is bound here
_TCP = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>\w[\w.-]*)):(?P<port>[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """One TCP or unix address; `parse_address` reads it and `str` writes it back.

    Attributes:
        host: a name or IP address without brackets; empty for a unix address.
        port: the TCP port, where 0 means "choose a free one"; 0 for a unix address.
        path: the absolute path of a unix socket; empty for a TCP address.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def family(self) -> socket.AddressFamily:
        """AF_UNIX, AF_INET6 for an IPv6 literal, AF_INET for anything else, names included."""
        if self.path:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def reachable(self) -> Address:
        """Where a client on the same machine knocks, also when it listens on every address."""
        return replace(self, host=_ANY_HOST.get(self.host, self.host))

    @property
    def host_header(self) -> str:
        """What such a client says in its Host header."""
        return "localhost" if self.path else str(self.reachable)

    def __str__(self) -> str:
        if self.path:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """The address that `text` names; nothing is resolved or opened.

    Raises:
        ValueError: `text` is no address. The message says what it should be and does not repeat it.
    """
    if text.startswith(_UNIX):
        return Address(path=_socket_path(text.removeprefix(_UNIX)))
    match = _TCP.fullmatch(text)
    if match is None:
        raise ValueError('should be "HOST:PORT", "[IPV6]:PORT" or "unix:/path"')
    host = _six(match["six"]) if match["six"] else _four_or_name(match["host"])
    return Address(host, _port(match["port"]))


def _socket_path(path: str) -> str:
    if not path.startswith("/") or not path.isprintable():
        raise ValueError('should name a socket by its full path, such as "unix:/run/shop.sock"')
    if len(path.encode()) > _LONGEST_PATH:
        raise ValueError(f"should be a shorter path: a socket's has at most {_LONGEST_PATH} bytes")
    return path


def _six(host: str) -> str:
    if not _is_literal(socket.AF_INET6, host):
        raise ValueError("should have an IPv6 address between the brackets")
    return host


def _four_or_name(host: str) -> str:
    if re.fullmatch(r"[0-9.]+", host) and not _is_literal(socket.AF_INET, host):
        raise ValueError("should have an IPv4 address of four numbers up to 255")
    return host


def _is_literal(family: socket.AddressFamily, host: str) -> bool:
    try:
        socket.inet_pton(family, host)
    except OSError:
        return False
    return True


def _port(digits: str) -> int:
    if int(digits) > _HIGHEST_PORT:
        raise ValueError(f"should have a port from 0 to {_HIGHEST_PORT}")
    return int(digits)
