"""Each way to fail has one name."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from segue.proof.connection import RequestError
from segue.proof.failures import detail_of, kind_of


def from_errno(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (from_errno(errno.ECONNREFUSED), "refused"),
        (from_errno(errno.ECONNRESET), "reset"),
        (from_errno(errno.EPIPE), "reset"),
        (from_errno(errno.ECONNABORTED), "reset"),
        (from_errno(errno.EAGAIN), "busy"),
        (from_errno(errno.ENOENT), "missing"),
        (from_errno(errno.ETIMEDOUT), "timeout"),
        (TimeoutError(), "timeout"),
        (from_errno(errno.EHOSTUNREACH), "unreachable"),
        (from_errno(errno.ENETUNREACH), "unreachable"),
        (from_errno(errno.EACCES), "unreachable"),
        (from_errno(errno.EMFILE), "exhausted"),
        (from_errno(errno.EADDRNOTAVAIL), "exhausted"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "resolve"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "tls"),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "eof"),
        (RequestError("truncated", "half of it"), "truncated"),
    ],
)
def test_an_error_has_a_kind(error: OSError | RequestError, kind: str) -> None:
    assert kind_of(error) == kind


def test_an_error_says_what_was_seen() -> None:
    assert detail_of(RequestError("truncated", "half of it")) == "half of it"
    assert detail_of(from_errno(errno.ECONNREFUSED)) == "Connection refused"
