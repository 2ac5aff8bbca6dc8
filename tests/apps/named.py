"""A WSGI app that says which generation it is and what it was asked, and stores orders: one line for each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

GENERATION = os.environ["GENERATION"]
NAMES = [("X-Segue-Release", GENERATION.rpartition(".")[0]), ("X-Segue-Generation", GENERATION)]


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/orders":
        store(body)
    is_error = environ["PATH_INFO"] == "/error"
    start_response("500 Error" if is_error else "200 OK", [("Content-Type", "application/json"), *NAMES])
    return [json.dumps({key: value for key, value in environ.items() if isinstance(value, str)}).encode()]


def store(order: bytes) -> None:
    log = os.open(Path(os.environ["ORDERS"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(log, order + b"\n")
    os.close(log)
