"""A WSGI app that behaves as `behaviour.json` beside it says; `tests.support.apps.make_app` writes both.

Only the standard library, so that it boots in milliseconds under any interpreter that has Gunicorn.
"""

from __future__ import annotations

import json
import os
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias
    from wsgiref.types import StartResponse, WSGIEnvironment

    Headers: TypeAlias = list[tuple[str, str]]
    Answer: TypeAlias = tuple[str, Headers, Iterable[bytes]]
    Route: TypeAlias = Callable[[WSGIEnvironment], Answer]

HERE = Path(__file__).parent
BEHAVIOUR: dict[str, Any] = json.loads((HERE / "behaviour.json").read_text())
CHUNK_INTERVAL = 0.1
READ_SIZE = 64 * 1024
FOREVER = 1e6

home_requests = count(1)


def import_for(seconds: float) -> None:
    """Half of the time on the CPU, half waiting, as imports are."""
    until = time.process_time() + seconds / 2
    while time.process_time() < until:
        pass
    time.sleep(seconds / 2)


def text(body: object, status: str = "200 OK", headers: Headers | None = None) -> Answer:
    content = f"{body}".encode()
    length = [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))]
    return status, [*length, *(headers or [])], [content]


def home(_environ: WSGIEnvironment) -> Answer:
    number, share = next(home_requests), BEHAVIOUR["error_share"]
    if int(number * share) > int((number - 1) * share):
        return text("this one fails", "500 Internal Server Error")
    return text(BEHAVIOUR["version"])


def healthz(_environ: WSGIEnvironment) -> Answer:
    match BEHAVIOUR["check"]:
        case "404":
            return text("no such page", "404 Not Found")
        case "redirect":
            return text("moved", "302 Found", [("Location", "https://secure.example/healthz")])
        case "500":
            return text("unhealthy", "500 Internal Server Error")
        case "hang":
            time.sleep(FOREVER)
        case "wrong_release":
            return text("ok", headers=[("X-Segue-Release", "other")])
    return text("ok")


def orders(environ: WSGIEnvironment) -> Answer:
    """The second witness: one line for each order, written before it is acknowledged."""
    order = json.loads(b"".join(pieces(environ)))
    log = os.open(HERE / "instance" / "orders.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(log, f"{order['id']}\n".encode())
    os.close(log)
    return text(order["id"], "201 Created")


def slow(environ: WSGIEnvironment) -> Answer:
    time.sleep(asked_seconds(environ))
    return text("slept")


def stream(environ: WSGIEnvironment) -> Answer:
    return "200 OK", [("Content-Type", "text/plain")], chunks(asked_seconds(environ))


def events(_environ: WSGIEnvironment) -> Answer:
    """Server-sent events, for ever."""
    return "200 OK", [("Content-Type", "text/event-stream")], chunks(FOREVER)


def upload(environ: WSGIEnvironment) -> Answer:
    return text(sum(map(len, pieces(environ))))


def pid(_environ: WSGIEnvironment) -> Answer:
    return text(os.getpid())


def crash(_environ: WSGIEnvironment) -> Answer:
    os._exit(1)


def error(_environ: WSGIEnvironment) -> Answer:
    return text("an error", "500 Internal Server Error")


def chunks(seconds: float) -> Iterator[bytes]:
    for number in range(round(seconds / CHUNK_INTERVAL)):
        time.sleep(CHUNK_INTERVAL)
        yield f"chunk {number}\n".encode()


def pieces(environ: WSGIEnvironment) -> Iterator[bytes]:
    read = environ["wsgi.input"].read
    while piece := read(READ_SIZE):
        yield piece


def asked_seconds(environ: WSGIEnvironment) -> float:
    return float(parse_qs(environ["QUERY_STRING"])["seconds"][0])


def route(environ: WSGIEnvironment) -> Answer:
    path = environ["PATH_INFO"]
    if BEHAVIOUR["crash_on_first_request"] and path != "/healthz":
        crash(environ)
    if noise := BEHAVIOUR["stdout_noise"]:
        print("." * noise, flush=True)
    return ROUTES[path](environ) if path in ROUTES else text("no such page", "404 Not Found")


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    status, headers, body = route(environ)
    start_response(status, headers)
    return body


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
}

import_for(BEHAVIOUR["import_seconds"])
