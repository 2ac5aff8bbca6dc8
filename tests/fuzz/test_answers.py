"""Whatever a server answers, the probe counts it in time, by a documented kind, and never as ok when cut."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.servers import Client, Server, server

from segue.proof.probe import Probe
from segue.proof.report import Report
from segue.proof.spec import ProbeSpec

TIMEOUT = 0.15
GRACE = 30.0  # a hang lasts longer; a busy machine may not
KINDS = {"eof", "reset", "truncated", "protocol", "timeout"}
MOST_MEMORY = 8_000_000  # bytes


@dataclass(frozen=True)
class Script:
    """What the server does to every request: `start`, then `again` for ever or never, then its end."""

    start: bytes
    again: bytes = b""
    end: str = "close"

    def __call__(self, client: Client) -> None:
        client.until(b"\r\n\r\n")
        client.send(self.start)
        while self.again:
            client.send(self.again)
        if self.end == "reset":
            client.reset()
        elif self.end == "stall":
            client.fill()


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server(Script(b"")) as running:
        yield running


def ask(running: Server, script: Script, timeout: float = TIMEOUT, keep_alive: float = 1) -> Report:
    """What the probe makes of it, twice: on a new connection, and on one that was kept alive, if it was."""
    running.behave = script
    began = time.monotonic()
    spec = ProbeSpec(running.url, rate=200, keep_alive=keep_alive, timeout=timeout)
    report = asyncio.run(Probe(spec).run(0.01))
    assert time.monotonic() - began < timeout + GRACE
    assert (report.sent, report.in_flight) == (2, 0)
    assert report.ok + report.failed == 2
    assert all(kind in KINDS or kind.startswith("status_") for kind in report.failures), report.failures
    return report


names = st.sampled_from(
    ["Content-Length", "Transfer-Encoding", "Connection", "X-Segue-Release", "Upgrade", "a b", ""]
)
values = st.sampled_from(
    ["0", "5", "-1", "5, 5", "5, 6", "9" * 400, "0x5", "chunked", "gzip, chunked", "close", "", "\0"]
)
headers = st.builds(lambda name, value: f"{name}: {value}\r\n".encode(), names, values | st.text(max_size=10))
folded = st.sampled_from(
    [b" folded\r\n", b"\r", b"\n", b"\0", b"X: " + b"a" * 70_000 + b"\r\n", b"X: 1\r\n" * 300]
)
heads = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200\r\n",
        b"HTTP/0.9 200 OK\r\n",
        b"HTTP/2 200\r\n",
        b"HTTP/1.1 99 x\r\n",
        b"HTTP/1.1 1000 x\r\n",
        b"HTTP/1.1 \xff\xff\xff OK\r\n",
        b"HTTP/1.1 204 None\r\n",
        b"HTTP/1.1 304 Same\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"HTTP/1.1 103 Early\r\n\r\n",
        b"HTTP/1.1 500 Oh\r\n",
        b"HTTP/1.1 200 \0\r\n",
        b"<html>",
        b"\r\n",
        b"http/1.1 200 ok\r\n",
        b"ICY 200 OK\r\n",
    ]
)
bodies = st.sampled_from(
    [
        b"hello",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"-1\r\n",
        b"FFFFFFFFFFFFFFFFFF\r\n",
        b"5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    ]
)
pieces = heads | headers | folded | st.just(b"\r\n") | bodies | st.binary(max_size=30)
scripts = st.builds(
    Script,
    st.lists(pieces, max_size=8).map(b"".join),
    st.just(b"") | st.just(b"") | pieces,
    st.sampled_from(["close", "reset", "stall"]),
)


@given(scripts)
@example(Script(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"))
@example(Script(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"))
def test_any_answer_is_counted_in_time(running: Server, script: Script) -> None:
    ask(running, script)


ENDLESS = [
    Script(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", b"x"),
    Script(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n", b"x" * 65536),
    Script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
    Script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1" * 65536),
    Script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 65536),
    Script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"T: x\r\n" * 10_000),
    Script(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n" * 10_000),
    Script(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536),
    Script(b"HTTP/1.1 ", b"1" * 65536),
    Script(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    Script(b"", b"\r\n" * 10_000),
    Script(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 65536),
]


@pytest.mark.parametrize("script", ENDLESS, ids=lambda script: repr(script.start + script.again[:9]))
def test_what_never_ends_takes_no_memory(running: Server, script: Script) -> None:
    tracemalloc.start()
    try:
        report = ask(running, script, timeout=0.4)
        assert report.ok == 0
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


texts = st.binary(max_size=20)


def chunked(parts: list[bytes], trailer: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n" + trailer + b"\r\n"


measured = texts.map(lambda body: b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
in_chunks = st.builds(chunked, st.lists(texts, max_size=3), st.sampled_from([b"", b"T: 1\r\n"]))
interim = st.lists(
    st.sampled_from([b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", b"HTTP/1.1 100 Go on\r\n\r\n"]), max_size=3
)
whole_answers = st.builds(
    lambda before, rest: b"".join(before) + b"HTTP/1.1 200 OK\r\n" + rest, interim, measured | in_chunks
)


@given(whole_answers, st.data(), st.sampled_from(["close", "reset", "stall"]))
def test_only_a_whole_answer_is_ok(running: Server, answer: bytes, data: st.DataObject, end: str) -> None:
    cut = data.draw(st.integers(0, len(answer)))
    # one that is whole is waited for, however busy the machine, and its end comes before the next request
    whole = cut == len(answer) and end == "close"
    report = ask(running, Script(answer[:cut], end=end), GRACE if whole else TIMEOUT, 0 if whole else 1)
    if cut < len(answer):
        assert report.ok == 0, report.failures
    elif whole:
        assert report.ok == 2, report.samples
