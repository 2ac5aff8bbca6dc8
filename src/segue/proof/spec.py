"""What a probe is asked to do: a value that travels between processes as one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import h11

from segue import __version__
from segue.core.address import Address
from segue.core.errors import UsageError
from segue.proof.target import Target

HIGHEST_RATE = 5000
NUMBER = "{n}"
_ANYWHERE = Target(Address("localhost"), host="localhost", path="/")
_OURS = {"connection", "content-length", "transfer-encoding", "expect", "upgrade"}


@dataclass(frozen=True, slots=True)
class Shot:
    """One kind of request; ``{n}`` in its path and body becomes a number that no other of the probe's has.

    Attributes:
        method: such as ``GET``.
        path: with the query, as it goes over the wire; empty for that of the URL.
        headers: beside Host, User-Agent and Content-Length, which are filled in.
        body: sent piece by piece; Content-Length is the sum.
        pause: seconds between two pieces, for slow uploads.

    Raises:
        UsageError: it can't be sent as HTTP/1.1.
    """

    method: str = "GET"
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: tuple[bytes, ...] = ()
    pause: float = 0.0

    def __post_init__(self) -> None:
        for name, _ in self.headers:
            if name.lower() in _OURS:
                raise UsageError("header", f"The probe sets the header {name} itself.", hint="leave it out")
        try:
            self.request(0, _ANYWHERE, keep_alive=True)
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise UsageError(
                "request",
                f"{self.method} {self.path!r} with these headers is no valid HTTP request: {error}.",
                hint="a header is written 'Name: value', on one line and in latin-1",
            ) from None

    def request(self, number: int, target: Target, *, keep_alive: bool) -> tuple[h11.Request, list[bytes]]:
        """The head and the pieces of the body of request `number` to `target`."""
        pieces = [piece.replace(NUMBER.encode(), b"%d" % number) for piece in self.body]
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        given = {name.lower() for name, _ in headers}
        defaults = [(b"host", target.host.encode()), (b"user-agent", b"segue-probe/" + __version__.encode())]
        headers = [pair for pair in defaults if pair[0] not in given] + headers
        if pieces or self.method == "POST":
            headers.append((b"content-length", b"%d" % sum(map(len, pieces))))
        if not keep_alive:
            headers.append((b"connection", b"close"))
        return h11.Request(method=self.method, target=self.path_of(number, target), headers=headers), pieces

    def path_of(self, number: int, target: Target) -> str:
        """The path of request `number` to `target`."""
        return (self.path or target.path).replace(NUMBER, str(number))


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """Everything that a probe needs to know.

    Attributes:
        url: gives the scheme, the Host header, the certificate's name, the path of shots that have none of
            their own and, without `connect`, the address.
        connect: another address to connect to: ``HOST:PORT`` or ``unix:/path``; empty for the URL's own.
        insecure: whether an https certificate goes unverified.
        rate: requests per second.
        keep_alive: the share of requests, 0 to 1, that go over connections kept alive.
        timeout: seconds that one request may take from connect to the last byte.
        shots: the kinds of request, taken in turns.
        report: the file that `segue.proof.probe_process` writes; empty elsewhere.
        timeline: the file that it leaves its requests in one by one, at its end; empty for none.
        zero: the instant of the system's monotonic clock that their times count from.

    Raises:
        UsageError: a value is out of its range.
    """

    url: str
    connect: str = ""
    insecure: bool = False
    rate: float = 10.0
    keep_alive: float = 0.5
    timeout: float = 10.0
    shots: tuple[Shot, ...] = (Shot(),)
    report: str = ""
    timeline: str = ""
    zero: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= HIGHEST_RATE:
            raise UsageError(
                "rate",
                f"A rate of {self.rate:g} requests a second is out of range.",
                hint=f"choose more than 0 and at most {HIGHEST_RATE}",
            )
        if not 0 <= self.keep_alive <= 1:
            raise UsageError(
                "keep_alive",
                f"A keep-alive share of {self.keep_alive:g} is out of range.",
                hint="choose 0 (every request on a new connection) to 1 (none)",
            )
        if not 0 < self.timeout < float("inf"):
            raise UsageError(
                "timeout",
                f"A timeout of {self.timeout:g} s is out of range.",
                hint="give a request time to be answered, such as 10s",
            )
        if not self.shots:
            raise UsageError("shots", "A probe without a kind of request has nothing to send.")

    def to_json(self) -> str:
        """One line that `from_json` reads."""
        # latin-1 maps every byte to one character and back, whatever the body holds
        return json.dumps(asdict(self), default=lambda piece: piece.decode("latin-1"))

    @classmethod
    def from_json(cls, text: str | bytes) -> ProbeSpec:
        """The spec that `to_json` wrote.

        Raises:
            ValueError, TypeError, KeyError: `text` was not written by it.
            UsageError: a value is out of its range.
        """
        fields = json.loads(text)
        return cls(**{**fields, "shots": tuple(_read_shot(shot) for shot in fields["shots"])})


def _read_shot(fields: dict[str, Any]) -> Shot:
    headers = tuple((name, value) for name, value in fields["headers"])
    body = tuple(piece.encode("latin-1") for piece in fields["body"])
    return Shot(**{**fields, "headers": headers, "body": body})
