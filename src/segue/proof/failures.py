"""The names of what can happen to a request."""

from __future__ import annotations

import errno
import socket
import ssl

from segue.proof.connection import RequestError

EXHAUSTED = "exhausted"
_OWN_LIMITS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}
# the first that fits counts
_KINDS: tuple[tuple[type[OSError], str], ...] = (
    (ssl.SSLEOFError, "eof"),
    (ssl.SSLError, "tls"),
    (socket.gaierror, "resolve"),
    (TimeoutError, "timeout"),
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "reset"),
    (BlockingIOError, "busy"),
    (FileNotFoundError, "missing"),
)


def kind_of(error: OSError | RequestError) -> str:
    """One word for why a request failed; ``exhausted`` is the probe's own lack of descriptors or ports."""
    if isinstance(error, RequestError):
        return error.kind
    if error.errno in _OWN_LIMITS:
        return EXHAUSTED
    return next((kind for error_type, kind in _KINDS if isinstance(error, error_type)), "unreachable")


def detail_of(error: OSError | RequestError) -> str:
    """What was seen, for people."""
    if isinstance(error, RequestError):
        return error.detail
    return error.strerror or str(error)
