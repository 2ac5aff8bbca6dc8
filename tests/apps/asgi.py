"""The ASGI form of `app.py`: it behaves as `behaviour.json` beside it says. Only the standard library."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import TypeAlias

    Scope: TypeAlias = dict[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
    Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
    Route: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

HERE = Path(__file__).parent
BEHAVIOUR: dict[str, Any] = json.loads((HERE / "behaviour.json").read_text())
CHUNK_INTERVAL = 0.1
FOREVER = 1e6

home_requests = count(1)


def import_for(seconds: float) -> None:
    """Half of the time on the CPU, half waiting, as imports are."""
    until = time.process_time() + seconds / 2
    while time.process_time() < until:
        pass
    time.sleep(seconds / 2)


async def text(send: Send, body: object, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    content = f"{body}".encode()
    head = [(b"content-type", b"text/plain"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*head, *headers]})
    await send({"type": "http.response.body", "body": content})


async def home(_scope: Scope, _receive: Receive, send: Send) -> None:
    number, share = next(home_requests), BEHAVIOUR["error_share"]
    if int(number * share) > int((number - 1) * share):
        await text(send, "this one fails", 500)
    else:
        await text(send, BEHAVIOUR["version"])


async def healthz(scope: Scope, _receive: Receive, send: Send) -> None:
    match BEHAVIOUR["check"]:
        case "404":
            await text(send, "no such page", 404)
        case "redirect":
            await text(send, "moved", 302, (b"location", b"https://secure.example/healthz"))
        case "500":
            await text(send, "unhealthy", 500)
        case "hang":
            await asyncio.sleep(FOREVER)
        case "wrong_release":
            await text(send, "ok", 200, (b"x-segue-release", b"other"))
        case _:
            await text(send, scope["state"].get("greeting", "ok"))


async def orders(_scope: Scope, receive: Receive, send: Send) -> None:
    """The second witness: one line for each order, written before it is acknowledged."""
    order = json.loads(b"".join([piece async for piece in pieces(receive)]))
    log = os.open(HERE / "instance" / "orders.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(log, f"{order['id']}\n".encode())
    os.close(log)
    await text(send, order["id"], 201)


async def slow(scope: Scope, _receive: Receive, send: Send) -> None:
    await asyncio.sleep(asked_seconds(scope))
    await text(send, "slept")


async def stream(scope: Scope, _receive: Receive, send: Send) -> None:
    await streamed(send, b"text/plain", round(asked_seconds(scope) / CHUNK_INTERVAL))


async def events(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Server-sent events, for ever."""
    await streamed(send, b"text/event-stream", round(FOREVER))


async def streamed(send: Send, kind: bytes, number: int) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    for chunk in range(number):
        await asyncio.sleep(CHUNK_INTERVAL)
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def upload(_scope: Scope, receive: Receive, send: Send) -> None:
    await text(send, sum([len(piece) async for piece in pieces(receive)]))


async def pid(_scope: Scope, _receive: Receive, send: Send) -> None:
    await text(send, os.getpid())


async def crash(_scope: Scope, _receive: Receive, _send: Send) -> None:
    os._exit(1)


async def error(_scope: Scope, _receive: Receive, send: Send) -> None:
    await text(send, "an error", 500)


async def raise_(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("raised by the app")


async def missing(_scope: Scope, _receive: Receive, send: Send) -> None:
    await text(send, "no such page", 404)


async def pieces(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        yield message.get("body", b"")
        more = message.get("more_body", False)


def asked_seconds(scope: Scope) -> float:
    return float(parse_qs(scope["query_string"].decode())["seconds"][0])


async def echo(receive: Receive, send: Send) -> None:
    """A WebSocket that says everything again."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    if BEHAVIOUR["startup_fails"]:
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        return
    scope["state"]["greeting"] = "ok, started"
    await send({"type": "lifespan.startup.complete"})
    await receive()
    with suppress(OSError):
        (HERE / "instance" / "stopped").touch()
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    elif scope["type"] == "websocket":
        await echo(receive, send)
    else:
        if BEHAVIOUR["crash_on_first_request"] and scope["path"] != "/healthz":
            os._exit(1)
        if noise := BEHAVIOUR["stdout_noise"]:
            print("." * noise, flush=True)
        await ROUTES.get(scope["path"], missing)(scope, receive, send)


ROUTES: dict[str, Route] = {
    "/": home,
    "/healthz": healthz,
    "/orders": orders,
    "/slow": slow,
    "/stream": stream,
    "/events": events,
    "/upload": upload,
    "/pid": pid,
    "/crash": crash,
    "/error": error,
    "/raise": raise_,
}

import_for(BEHAVIOUR["import_seconds"])
