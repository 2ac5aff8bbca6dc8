"""A WSGI app that says what it sees: its process, its environment, its folder. Each import is logged."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment


def log(name: str, *words: object) -> None:
    with Path(os.environ["MIRROR"], name).open("a") as file:
        file.write(" ".join(map(str, words)) + "\n")


def seen() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "session": os.getsid(0),
        "folder": os.getcwd(),
        "file": __file__,
        "path": sys.path,
        "python": sys.executable,
        "environ": dict(os.environ),
    }


def break_off() -> Iterator[bytes]:
    yield b"half of it"
    raise RuntimeError("asked for")


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/raise":
        raise RuntimeError("asked for")
    if path == "/slow":
        time.sleep(30)
    if path == "/print":
        print("printed by the app", flush=True)
    start_response("503 Unavailable" if path == "/error" else "200 OK", [("Content-Type", "text/plain")])
    if path == "/breaks":
        return break_off()
    if path != "/file":
        return [json.dumps(seen()).encode()]

    class Unread(environ["wsgi.file_wrapper"]):  # type: ignore[misc, name-defined, valid-type]  # Gunicorn's own class
        """A file that the server must send by sendfile: reading it piece by piece fails."""

        def __getitem__(self, key: int) -> bytes:
            raise RuntimeError("the file was read")

    body: Iterable[bytes] = Unread(Path(__file__).open("rb"))  # noqa: SIM115 - the server closes it
    return body


log("imports", os.getpid(), "begins")
time.sleep(0.2)
log("imports", os.getpid(), "ends")
