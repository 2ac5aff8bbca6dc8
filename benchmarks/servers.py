"""The servers that are compared: each behind segue's gate, and started by its own command line."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.site import configure, serving, until

from benchmarks import hello

HOST = "127.0.0.1"
TcpAddress = tuple[str, int]


@dataclass(frozen=True)
class Server:
    """One server with its settings, as segue is told them and as its own command line takes them."""

    name: str
    module: str
    settings: dict[str, Any]
    command: tuple[str, ...]


UVICORN = ("--loop", "uvloop", "--http", "httptools", "--no-access-log")
SERVERS = (
    Server(
        "Gunicorn, gthread",
        "hello:wsgi",
        {"server": "gunicorn", "worker_class": "gthread", "threads": 4},
        ("gunicorn", "--no-control-socket", "--workers", "1", "--worker-class", "gthread", "--threads", "4"),
    ),
    Server(
        "Uvicorn, httptools, uvloop",
        "hello:asgi",
        {"server": "uvicorn", "server_args": list(UVICORN)},
        ("uvicorn", *UVICORN),
    ),
)


@contextlib.contextmanager
def wrapped_server(server: Server, folder: Path) -> Iterator[TcpAddress]:
    """`server` with one worker under `segue up`, with `wrap = true`; its address."""
    _place_app(folder)
    configure(folder, module=server.module, workers=1, wrap=True, **server.settings)
    with serving(folder) as site:
        yield HOST, int(site.bind.rpartition(":")[2])


@contextlib.contextmanager
def bare_server(server: Server, folder: Path) -> Iterator[TcpAddress]:
    """`server` with one worker, without anything of segue's; its address."""
    _place_app(folder)
    address = HOST, _free_port()
    argv = (sys.executable, "-m", *server.command, *_bind(server, *address), server.module)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: _answers(address), what=f"an answer of {server.name}")
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _bind(server: Server, host: str, port: int) -> tuple[str, ...]:
    if server.command[0] == "uvicorn":
        return ("--host", host, "--port", str(port))
    return ("--bind", f"{host}:{port}")


def _place_app(folder: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copy(hello.__file__, folder)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as chosen:
        port: int = chosen.getsockname()[1]
        return port


def _answers(address: TcpAddress) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return False
    return True
