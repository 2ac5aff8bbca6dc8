"""Small servers that do to a client what a deploy may do, one thread for each connection."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BLOCK = bytes(64 * 1024)


class Gone(Exception):
    """The client has closed its side."""


@dataclass
class Client:
    """One connection, seen from the server."""

    socket: socket.socket
    seen: Counter[bytes]
    buffer: bytes = b""

    def request(self) -> bytes:
        """The next request's body, or its path where it has none; Gone when there is none."""
        head = self.until(b"\r\n\r\n")
        body = self.exactly(content_length(head)) or head.split(b" ")[1]
        self.seen[body] += 1
        return body

    def until(self, mark: bytes) -> bytes:
        """Everything up to `mark`."""
        while mark not in self.buffer:
            self.fill()
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def exactly(self, size: int) -> bytes:
        """The next `size` bytes."""
        while len(self.buffer) < size:
            self.fill()
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def fill(self) -> None:
        """Read something."""
        data = self.socket.recv(65536)
        if not data:
            raise Gone
        self.buffer += data

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.socket.sendall(data)

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Behaviour = Callable[[Client], None]


def content_length(head: bytes) -> int:
    """What the request's head says of its body."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


@dataclass
class Server:
    """A server on a port or path of its own, until the block ends.

    Attributes:
        url: where it is; of no use for a unix socket.
        seen: body (or path) -> how many requests had it.
        connections: how many were accepted.
    """

    behave: Behaviour
    listener: socket.socket
    url: str
    context: ssl.SSLContext | None = None
    seen: Counter[bytes] = field(default_factory=Counter)
    connections: int = 0
    clients: list[socket.socket] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, run: Callable[..., None], *args: object) -> None:
        """Run something in a thread."""
        thread = threading.Thread(target=run, args=args)
        self.threads.append(thread)
        thread.start()

    def accept_all(self) -> None:
        """Serve until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self.listener.accept()
                self.connections += 1
                self.clients.append(accepted)
                self.start(self.serve, accepted)

    def serve(self, accepted: socket.socket) -> None:
        """One connection, from its first byte to its last."""
        with accepted, contextlib.suppress(OSError, Gone):
            if self.context is None:
                self.behave(Client(accepted, self.seen))
                return
            with self.context.wrap_socket(accepted, server_side=True) as wrapped:
                self.clients.append(wrapped)
                self.behave(Client(wrapped, self.seen))

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        for each in (self.listener, *self.clients):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


@contextlib.contextmanager
def server(
    behave: Behaviour,
    *,
    host: str = "127.0.0.1",
    path: Path | None = None,
    context: ssl.SSLContext | None = None,
) -> Iterator[Server]:
    """A server that behaves like `behave`, on a free port of `host`, or at the unix socket `path`."""
    family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind(str(path) if path else (host, 0))
    listener.listen(1024)
    authority = f"[{host}]" if ":" in host else host
    port = 0 if path else listener.getsockname()[1]
    url = f"{'https' if context else 'http'}://{authority}:{port}"
    running = Server(behave, listener, url, context)
    running.start(running.accept_all)
    try:
        yield running
    finally:
        running.stop()


def certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, and its key, in one file."""
    file = folder / "cert.pem"
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(file), "-out", str(folder / "only-cert.pem")),
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_bytes(file.read_bytes() + (folder / "only-cert.pem").read_bytes())
    return file


def tls(certificate_and_key: Path) -> ssl.SSLContext:
    """How a server with that certificate speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_and_key)
    return context


def polite(client: Client) -> None:
    """Answer every request, and leave the connection open."""
    while client.request():
        client.send(OK)


def released(client: Client) -> None:
    """Say who answers."""
    while client.request():
        client.send(OK.replace(b"\r\n\r\n", b"\r\nX-Segue-Release: r1\r\nX-Segue-Generation: r1.2\r\n\r\n"))


def until_closed(client: Client) -> None:
    """Answer with a body that the end of the connection ends."""
    client.request()
    client.send(b"HTTP/1.0 200 OK\r\n\r\nall of it")


def interim(client: Client) -> None:
    """Have something to say before the answer, which comes in chunks."""
    while client.request():
        client.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")


def leaves_idle(client: Client) -> None:
    """Promise to keep the connection, and close it after the answer."""
    client.request()
    client.send(OK)


def talks_idle(client: Client) -> None:
    """Say something that nobody asked for on an idle connection."""
    client.request()
    client.send(OK)
    client.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    client.fill()


def leaves_second(client: Client) -> None:
    """Take a second request on the same connection, and never answer it."""
    client.request()
    client.send(OK)
    client.request()


def answers_early(client: Client) -> None:
    """Answer before the body is there, and go."""
    client.until(b"\r\n\r\n")
    client.send(OK)
    client.reset()


def resets(client: Client) -> None:
    """Break the connection instead of answering."""
    client.request()
    client.reset()


def closes(client: Client) -> None:
    """Close instead of answering."""
    client.request()


def short(client: Client) -> None:
    """Promise more than comes."""
    client.request()
    client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")


def short_chunk(client: Client) -> None:
    """Close in the middle of a chunk."""
    client.request()
    client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort")


def no_last_chunk(client: Client) -> None:
    """Close where another chunk should begin."""
    client.request()
    client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")


def short_head(client: Client) -> None:
    """Close in the middle of the headers."""
    client.request()
    client.send(b"HTTP/1.1 200 OK\r\nContent-Le")


def endless_body(client: Client) -> None:
    """Never come to an end."""
    client.request()
    client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000\r\n\r\n")
    while True:
        client.send(BLOCK)


def endless_chunks(client: Client) -> None:
    """Never come to an end, in small chunks."""
    client.request()
    client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        client.send(b"1\r\nx\r\n" * 10_000)


def endless_head(client: Client) -> None:
    """Never come to the body."""
    client.request()
    client.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        client.send(b"X-Filler: aaaaaaaaaaaaaaaa\r\n" * 1000)


def endless_interim(client: Client) -> None:
    """Have ever more to say before the answer."""
    client.request()
    while True:
        client.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)


def silent(client: Client) -> None:
    """Take the request and say nothing."""
    client.request()
    client.fill()


def babbles(client: Client) -> None:
    """Speak something else."""
    client.send(b"SSH-2.0-OpenSSH_9.6\r\n")
    client.request()


def fails(client: Client) -> None:
    """Answer every request with a 502."""
    while client.request():
        client.send(b"HTTP/1.1 502 Bad Gateway\r\nX-Segue-Generation: r1.2\r\nContent-Length: 0\r\n\r\n")
