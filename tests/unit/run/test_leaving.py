"""Stopping to accept, at the one moment at which asyncio would drop what it has just accepted."""

from __future__ import annotations

import asyncio
import socket

from segue.run.gate.leaving import stop_accepting

QUESTION, ANSWER = b"?", b"!"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(ANSWER if await reader.read(1) == QUESTION else b"")
    writer.close()


async def ask_while_it_stops() -> bytes:
    """A connection that is accepted in the very turn of the loop in which its server is told to stop."""
    server, loop = await asyncio.start_server(answer, "127.0.0.1", 0), asyncio.get_running_loop()
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        client.sendall(QUESTION)
        client.setblocking(False)
        await asyncio.sleep(0)
        stopping = asyncio.ensure_future(stop_accepting([server]))
        try:
            return await asyncio.wait_for(loop.sock_recv(client, 1), 5)
        finally:
            await stopping


def test_what_was_accepted_when_the_listener_closes_is_served() -> None:
    """It is answered, and not reset."""
    assert asyncio.run(ask_while_it_stops()) == ANSWER
