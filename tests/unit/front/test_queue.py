"""Who is connected to a socket, as the kernel tells it: queued ones count as much as accepted ones."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from segue.front.queue import connected, queued


def test_queued_and_accepted_connections_count_until_they_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(str(path))
        listener.listen()
        assert connected(path) == 0
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
        for client in clients:
            client.connect(str(path))
        assert (connected(path), queued(path)) == (2, 2)
        accepted = stack.enter_context(listener.accept()[0])
        assert (connected(path), queued(path)) == (2, 1)
        accepted.close()
        assert (connected(path), queued(path)) == (1, 1)
    assert connected(path) == 0


def test_a_path_with_spaces_and_one_that_only_begins_alike(tmp_path: Path) -> None:
    path, other = tmp_path / "a b.sock", tmp_path / "a b.sock.other"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(path))
        listener.listen()
        client.connect(str(path))
        assert (connected(path), connected(other)) == (1, 0)
