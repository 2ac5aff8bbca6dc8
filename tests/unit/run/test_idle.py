"""Idle connections that a leaving worker closes: none on which a request has come, seen or not."""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from segue.run.gate.gunicorn_gevent import _close
from segue.run.gate.gunicorn_wsgi import _close_idle
from segue.run.gate.uvicorn_server import _keep_who_asks

QUESTION = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass
class Connection:
    """As one of a gthread worker's, of which nothing is expected any more."""

    sock: socket.socket
    timeout: float = 0.0

    def close(self) -> None:
        self.sock.close()


@dataclass
class Worker:
    """As a gthread worker: it keeps idle connections, and dispatches those that became readable."""

    idle: deque[Connection] = field(default_factory=deque)
    poller: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    nr_conns: int = 0
    dispatched: list[Connection] = field(default_factory=list)

    def keep(self) -> tuple[Connection, socket.socket]:
        ours, theirs = socket.socketpair()
        connection = Connection(ours)
        self.idle.append(connection)
        self.poller.register(ours, selectors.EVENT_READ)
        self.nr_conns += 1
        return connection, theirs

    def readable(self, connection: Connection, sock: socket.socket) -> None:
        self.poller.unregister(sock)
        self.idle.remove(connection)
        self.dispatched.append(connection)


def test_gthread_looks_at_each_connection_right_before_it_closes_it() -> None:
    worker = Worker()
    kept = [worker.keep() for _ in range(3)]
    asking, client = kept[1]
    client.sendall(QUESTION)
    _close_idle(worker, worker.idle, worker.readable)
    assert worker.dispatched == [asking]
    assert (worker.nr_conns, len(worker.idle), len(worker.poller.get_map())) == (1, 0, 0)
    assert asking.sock.recv(len(QUESTION)) == QUESTION
    for connection, other in (kept[0], kept[2]):
        assert connection.sock.fileno() == -1
        assert other.recv(1) == b""
    for one in (asking.sock, *(other for _, other in kept)):
        one.close()


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_uvicorn_answers_what_came_in_the_turn_of_its_loop_that_ends_the_linger(http: str) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        last = b"close" if server.should_exit else b"keep-alive"
        headers = [(b"content-length", b"1"), (b"connection", last)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"!"})

    config = uvicorn.Config(app, http=http, lifespan="off", log_config=None, loop="asyncio")
    config.load()
    server = uvicorn.Server(config)

    async def ask_twice() -> bytes:
        _keep_who_asks(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.ensure_future(server.serve(sockets=[listener]))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(QUESTION)
            assert (await reader.readuntil(b"!")).startswith(b"HTTP/1.1 200")
            # nobody else gets a turn between what comes and the close
            writer.write(QUESTION)
            server.should_exit = True
            for connection in list(server.server_state.connections):
                connection.shutdown()
            answer = await asyncio.wait_for(reader.read(), 60)
            writer.close()
            await serving
            return answer

    with pytest.MonkeyPatch.context() as patch:
        protocol: Any = config.http_protocol_class
        patch.setattr(protocol, "shutdown", protocol.shutdown)
        assert asyncio.run(ask_twice()).startswith(b"HTTP/1.1 200")


def test_gevent_ends_no_wait_that_began_when_its_worker_was_leaving() -> None:
    @dataclass
    class Wait:
        lingers: bool
        ended: list[object] = field(default_factory=list)

        def end(self, greenlet: object) -> None:
            self.ended.append(greenlet)

    before, after = Wait(lingers=False), Wait(lingers=True)
    waiting: dict[Any, Any] = {"before": before, "after": after}
    _close(waiting)
    assert (before.ended, after.ended) == (["before"], [])
