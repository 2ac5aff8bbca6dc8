"""Where a probe's requests go, read from a URL."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, quote, urlsplit

from segue.core.address import Address, parse_address
from segue.core.errors import UsageError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """A place to send requests to.

    Attributes:
        address: what to connect to.
        host: the value of the Host header.
        path: the URL's path and query, as they go over the wire.
        server_name: the name that the certificate must have; empty without TLS.
    """

    address: Address
    host: str
    path: str
    server_name: str = ""


def parse_target(url: str, connect: str = "") -> Target:
    """The target that `url` names, reached at `connect` (``HOST:PORT`` or ``unix:/path``) where given.

    Raises:
        UsageError: `url` is no http or https URL that can be probed, or `connect` is no address.
    """
    parts, port = _split(url)
    name = _ascii(parts.hostname or "")
    shown = f"[{name}]" if ":" in name else name
    path = quote(parts.path or "/", safe=string.punctuation)
    query = f"?{quote(parts.query, safe=string.punctuation)}" if parts.query else ""
    return Target(
        address=_parse_connect(connect) if connect else Address(name, port or _PORTS[parts.scheme]),
        host=shown if port is None else f"{shown}:{port}",
        path=path + query,
        server_name=name if parts.scheme == "https" else "",
    )


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _bad_url(f"The URL can't be read: {error}.") from None
    if "@" in parts.netloc:
        raise UsageError(
            "url",
            "A URL to probe has no user and password in it.",
            hint="send them in a header: --header 'Authorization: ...'",
        )
    if parts.scheme not in _PORTS:
        raise _bad_url(f"A URL to probe starts with http:// or https://, and {url!r} does not.")
    if not parts.hostname:
        raise _bad_url(f"The URL {url!r} has no host.")
    return parts, port


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        raise _bad_url(f"The host {host!r} can't be a name.") from None


def _bad_url(message: str) -> UsageError:
    return UsageError("url", message, hint="write it like http://127.0.0.1:8000/healthz")


def _parse_connect(text: str) -> Address:
    try:
        address = parse_address(text)
    except ValueError as error:
        raise UsageError("address", f"The address to connect to, {text!r}, {error}.") from None
    return replace(address, host=_ascii(address.host))
