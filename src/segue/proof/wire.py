"""Bytes to and from a server, in the clear or in TLS, over sockets that nobody else reads.

asyncio's transports read ahead, so an idle connection's FIN would be gone when it is looked for: these
sockets are read only while an answer is awaited.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from segue.proof.target import Target

_PIECE = 64 * 1024


class Wire(Protocol):
    """A connected stream of bytes."""

    async def send(self, data: bytes) -> None:
        """Send all of `data`; OSError when the connection breaks."""

    async def receive(self) -> bytes:
        """The next bytes, none when the peer is done; OSError when the connection breaks."""

    def is_quiet(self) -> bool:
        """Whether the peer has neither sent anything nor closed since the last `receive`."""

    def close(self) -> None:
        """Close it at once."""


class PlainWire:
    """A `Wire` in the clear."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """See `Wire`."""
        await self._loop.sock_sendall(self._socket, data)

    async def receive(self) -> bytes:
        """See `Wire`."""
        # sock_recv does not yield while there is data: an endless body would stop every clock
        await asyncio.sleep(0)
        return await self._loop.sock_recv(self._socket, _PIECE)

    def is_quiet(self) -> bool:
        """See `Wire`."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | select.POLLRDHUP)
        return not poll.poll(0)

    def close(self) -> None:
        """See `Wire`."""
        self._socket.close()


class TlsWire:
    """A `Wire` in TLS."""

    def __init__(self, wire: PlainWire, context: ssl.SSLContext, server_name: str) -> None:
        self._wire = wire
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._flushing = asyncio.Lock()

    async def shake_hands(self) -> None:
        """Agree on keys and check the certificate; ssl.SSLError when that fails."""
        await self._advance(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """See `Wire`."""
        await self._advance(self._tls.write, data)

    async def receive(self) -> bytes:
        """See `Wire`."""
        try:
            received: bytes = await self._advance(self._tls.read, _PIECE)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):  # many servers close without a close_notify
            return b""
        return received

    async def _advance(self, step: Callable[..., Any], *args: Any) -> Any:
        while True:
            try:
                result = step(*args)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        # a sender and a receiver may both be here, and records must leave in their order
        async with self._flushing:
            if data := self._outgoing.read():
                await self._wire.send(data)

    async def _feed(self) -> None:
        if data := await self._wire.receive():
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def is_quiet(self) -> bool:
        """See `Wire`."""
        return self._wire.is_quiet() and not self._incoming.pending and not self._tls.pending()

    def close(self) -> None:
        """See `Wire`."""
        self._wire.close()


def tls_context(*, insecure: bool) -> ssl.SSLContext:
    """How https servers are verified: by the system's authorities, or not at all."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def open_wire(target: Target, context: ssl.SSLContext | None) -> Wire:
    """A new connection to `target`, in TLS where there is a `context`.

    Raises:
        OSError: no connection came about; ssl.SSLError and socket.gaierror are among its kinds.
    """
    plain = PlainWire(await _connect(target))
    if context is None:
        return plain
    wire = TlsWire(plain, context, target.server_name)
    try:
        await wire.shake_hands()
    except BaseException:
        wire.close()
        raise
    return wire


async def _connect(target: Target) -> socket.socket:
    address = target.address
    if address.path:
        return _connect_unix(address.path)
    failure = OSError("the name has no address")
    for family, kind, protocol, _, peer in await _resolve(address.host, address.port):
        try:
            return await _connect_tcp(socket.socket(family, kind, protocol), peer)
        except OSError as error:
            failure = error
    raise failure


def _connect_unix(path: str) -> socket.socket:
    # connected or refused at once; asyncio would take EAGAIN, a full queue, for a connection on its way
    unconnected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        unconnected.setblocking(False)
        unconnected.connect(path)
    except BaseException:
        unconnected.close()
        raise
    return unconnected


async def _resolve(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def _connect_tcp(unconnected: socket.socket, peer: Any) -> socket.socket:
    try:
        unconnected.setblocking(False)
        unconnected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(unconnected, peer)
        _refuse_itself(unconnected)
    except BaseException:
        unconnected.close()
        raise
    return unconnected


def _refuse_itself(connected: socket.socket) -> None:
    # Linux may connect a socket to itself where nobody listens on a port of the ephemeral range
    if connected.getsockname() == connected.getpeername():
        raise ConnectionRefusedError("nobody listens")
