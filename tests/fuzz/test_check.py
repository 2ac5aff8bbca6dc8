"""Whatever an app answers to its check is told in a sentence, and is no success that users would miss."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segue.disk.atomic import read_json, write_json
from segue.disk.processes import myself
from segue.run.generation import Generation, place_gate
from segue.run.trouble import trouble_of

RELEASE = "20261121T013455-8c1f2e9"
START = {
    "generation": f"{RELEASE}.1", "release": RELEASE, "root": "/srv", "argv": [], "environ": {}, "unset": [],
    "check": {"path": "/?a=b", "host": "shop.example:80", "scheme": "http", "timeout": 5.0, "interval": 1.0},
    "ready_timeout": 60.0, "drain_timeout": 30.0, "linger": 1.0, "wrap": True, "seen": "0",
}  # fmt: skip
MOST_SECONDS = 20.0  # on a busy machine
MOST_MEMORY = 20_000_000  # bytes


class Unspeakable:
    """What raises even when it is looked at."""

    def __repr__(self) -> str:
        raise RuntimeError("not even this")

    __str__ = __repr__


class OutOfTheBlue(Exception):
    """What an app raises."""

    def __str__(self) -> str:
        raise RuntimeError("not even this")


@dataclass
class Gate:
    """The gate as a worker has it: a copy in its generation's folder, imported from there."""

    generation: Generation
    wsgi: Any
    asgi: Any
    holding: Any
    counting: Any

    def demand_told(self, answer: dict[str, Any]) -> dict[str, Any]:
        """`answer` can be written down and read again, and whoever deploys is told why it is no success."""
        file = self.generation.folder / "check.7"
        write_json(file, {**answer, "settled": self.holding.settled(answer)})
        assert self.generation.checks() == [read_json(file)]
        if not self.holding.healthy(answer):
            trouble = trouble_of(self.generation, late=True)
            assert trouble is not None
            assert trouble.kind in ("check", "wrong_release")
            assert trouble.message.endswith(".")
            assert trouble.message.isprintable()
            assert len(trouble.evidence) < 30_000
        json.dumps(answer)
        return answer

    def ask_wsgi(self, app: Callable[..., Any]) -> dict[str, Any]:
        """What the check makes of a WSGI app."""
        return self.demand_told(self.wsgi.ask(app))

    def ask_asgi(self, app: Callable[..., Any]) -> dict[str, Any]:
        """What the check makes of an ASGI app."""
        return self.demand_told(asyncio.run(_in_time(self.asgi.ask(app, {}))))


async def _in_time(asked: Any) -> Any:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with asyncio.timeout(MOST_SECONDS):
        return await asked


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("generation")
    place_gate(folder)
    write_json(folder / "start.json", START)
    write_json(folder / "master.json", {"pid": myself().pid, "started": myself().started})
    (package,) = (folder / "gate").iterdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(package.parent))
        modules = [
            importlib.import_module(f"{package.name}.{name}")
            for name in ("wsgi", "asgi_check", "holding", "counting")
        ]
        yield Gate(Generation(f"{RELEASE}.1", folder), *modules)
    for name in [name for name in sys.modules if name.partition(".")[0] == package.name]:
        del sys.modules[name]


odd: st.SearchStrategy[Any] = st.sampled_from(
    [None, 200, True, b"200 OK", "200 OK", "", "2", "2 hundred", "200\r\nX: y", "999 No", "20", "٢٠٠ OK",
     "200" + " x" * 99999, "\ud800", [], {}, {"a": 1}, 1.5, Unspeakable(), Unspeakable, b"", b"ok",
     bytearray(b"ok"), HTTPStatus.OK, 10**12]
)  # fmt: skip
statuses = st.sampled_from(["200 OK", "204 No Content", "302 Found", "404 Not Found", "503 Busy", "200"])
text_pairs = st.lists(
    st.tuples(st.sampled_from(["Location", "X-Segue-Release", "a"]), st.text(max_size=5)), max_size=3
)
headers = text_pairs | odd | st.lists(st.tuples(odd, odd), max_size=2) | st.lists(odd, max_size=2)
errors = st.sampled_from(
    [OutOfTheBlue(), SystemExit(0), SystemExit("bye"), RecursionError(), ValueError("x" * 10**6), Unspeakable]
)
pieces = st.lists(st.just(b"ok") | odd, max_size=3)


@dataclass(frozen=True)
class Wsgi:
    """An app by script: what it calls start_response with, what it returns, and where it raises."""

    calls: tuple[tuple[Any, Any], ...]
    body: Any
    fails_at: str = "never"
    error: Any = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        self._fail("before")
        for status, pairs in self.calls:
            start_response(status, pairs)(b"written")
        self._fail("after")
        return Body(self) if self.fails_at in ("iterating", "closing") else self.body

    def _fail(self, here: str) -> None:
        if here == self.fails_at:
            raise self.error


class Body:
    """A body that raises."""

    def __init__(self, app: Wsgi) -> None:
        self._app = app

    def __iter__(self) -> Iterator[Any]:
        yield from self._app.body
        self._app._fail("iterating")

    def close(self) -> None:
        self._app._fail("closing")


wsgi_apps = st.builds(
    Wsgi,
    st.lists(st.tuples(statuses | odd, headers), max_size=2).map(tuple),
    pieces | odd,
    st.sampled_from(["never", "never", "before", "after", "iterating", "closing"]),
    errors,
)


def is_sound_wsgi(app: Wsgi) -> bool:
    """Whether Gunicorn could send what `app` answers: a status, text in the head, bytes in the body."""
    return (
        app.fails_at == "never"
        and len(app.calls) == 1
        and all(
            isinstance(status, str) and status[:3].isascii() and status[:3].isdigit()
            for status, _ in app.calls
        )
        and all(isinstance(text, str) for _, pairs in app.calls for pair in pairs for text in pair)
        and all(isinstance(piece, bytes) for piece in app.body)
    )


@given(wsgi_apps | odd)
@example(Wsgi((), [b"ok"]))
@example(Wsgi((("200 OK", []),), ["ok"]))
@example(Wsgi((("200 OK", []),), b"ok"))
@example(Wsgi(((200, []),), [b"ok"]))
@example(Wsgi(((b"200 OK", []),), [b"ok"]))
@example(Wsgi((("200 OK", [("Location", 7)]),), [b"ok"]))
@example(Wsgi((("2 hundred", []),), [b"ok"]))
@example(Wsgi((("503 Busy\nLook", []),), [b"ok"]))
@example(Wsgi((("503 Busy\tLook", []),), [b"ok"]))
@example(Wsgi((("200 OK", [("X-Segue-Release", "\U00018cd6")]),), [b"ok"]))
@example(Wsgi((("200 OK", [("X-Segue-Release", "\x85")]),), [b"ok"]))
@example(Wsgi((("200 OK", [("Location", "/\r\nX: y")]),), [b"ok"]))
@example(Wsgi((("200 OK", [("a b", "")]),), [b"ok"]))
@example(Wsgi((("503 Busy", []), ("200 OK", [])), [b"ok"]))
@example(Wsgi((("200 OK", []),), [b"ok"], "after", SystemExit(0)))
def test_any_wsgi_app(gate: Gate, app: Any) -> None:
    answer = gate.ask_wsgi(app)
    if gate.holding.healthy(answer):
        assert is_sound_wsgi(app), answer


def test_an_endless_wsgi_body_is_left(gate: Gate) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 100_000

    assert gate.ask_wsgi(Wsgi((("200 OK", []),), endless()))["status"] == "200 OK"


codes = st.sampled_from([200, 204, 302, 404, 503, 99, 600, HTTPStatus.OK])
byte_pairs = st.lists(
    st.tuples(st.sampled_from([b"location", b"X-Segue-Release"]), st.binary(max_size=5)), max_size=3
)
starts = st.fixed_dictionaries(
    {"type": st.just("http.response.start"), "status": codes | odd},
    optional={"headers": byte_pairs | headers},
)
body_messages = st.fixed_dictionaries(
    {"type": st.just("http.response.body")},
    optional={"body": st.just(b"ok") | odd, "more_body": st.booleans() | odd},
)
messages = starts | body_messages | st.fixed_dictionaries({"type": st.text(max_size=5)}) | odd


@dataclass(frozen=True)
class Asgi:
    """An app by script: what it sends, and how it ends."""

    messages: list[Any]
    error: Any = None
    receives: int = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        for _ in range(self.receives):
            await receive()
        for message in self.messages:
            await send(message)
        if self.error is not None:
            raise self.error


asgi_apps = st.builds(
    Asgi,
    st.lists(messages, max_size=4),
    st.none() | errors | st.just(asyncio.CancelledError()),
    st.integers(0, 1),
)
GOOD = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}
END = {"type": "http.response.body", "body": memoryview(b"ok")}


def is_sound_asgi(app: Asgi) -> bool:
    """Whether a server could send what `app` answers, to its end."""
    told = [message for message in app.messages if isinstance(message, dict) and "type" in message]
    ends = [one for one in told if one["type"] == END["type"] and not one.get("more_body")]
    return "http.response.start" in [one["type"] for one in told] and bool(ends)


@given(asgi_apps | odd)
@example(Asgi([]))
@example(Asgi([GOOD]))
@example(Asgi([GOOD, {**END, "more_body": True}]))
@example(Asgi([END]))
@example(Asgi([{**GOOD, "headers": [(10**12, 10**12)]}, END]))
@example(Asgi([{**GOOD, "status": "200"}, END]))
@example(Asgi([GOOD, {**END, "body": "ok"}]))
@example(Asgi([GOOD, END], OutOfTheBlue()))
@example(Asgi([], SystemExit(0)))
@example(Asgi([], asyncio.CancelledError()))
@example(lambda *_: None)
def test_any_asgi_app(gate: Gate, app: Any) -> None:
    answer = gate.ask_asgi(app)
    if gate.holding.healthy(answer):
        assert is_sound_asgi(app), answer


def test_a_good_asgi_answer_is_one(gate: Gate) -> None:
    assert gate.ask_asgi(Asgi([GOOD, END], receives=1))["status"] == "200"


def test_an_endless_asgi_body_is_left_and_takes_no_memory(gate: Gate) -> None:
    """Nor does it keep the loop for itself, though it waits for nothing but to send."""
    sent = 0

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send(GOOD)
        while True:
            await send({**END, "body": b"x" * 10_000, "more_body": True})
            sent += 1

    began = time.monotonic()
    tracemalloc.start()
    try:
        assert gate.ask_asgi(endless)["status"] == "200"
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < MOST_SECONDS
    assert sent < 2000


@given(st.binary(max_size=700), st.binary(max_size=700))
@example(b"\xff" * 8, b"\xff" * 8)
@example(b"cut", b"")
def test_a_worker_whose_counters_are_damaged_does_not_end_its_master(
    gate: Gate, ended: bytes, before: bytes
) -> None:
    (gate.generation.folder / "counters.5").write_bytes(ended)
    (gate.generation.folder / "counters.ended").write_bytes(before)
    gate.counting.account_for(5)
    assert not (gate.generation.folder / "counters.5").exists()
    gate.generation.counts()
