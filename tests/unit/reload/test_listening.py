"""Who listens is told by the kernel's tables, whatever other people called their sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from segue.core.address import Address
from segue.reload.listening import accepts, listeners


@pytest.mark.parametrize(
    "name", [b"\0a\nb", b"\0a\n", b"\0\n0: x 1", b"\0a\r\x85b \xff", b"\0a\n: : : : : : q"]
)
def test_a_name_of_anybodys_choosing_does_no_harm(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as own:
        other.bind(name + os.urandom(4).hex().encode())
        other.listen()
        own.bind(str(path))
        own.listen()
        found = frozenset(each for each in listeners(os.getpid()) if each.address == Address(path=str(path)))
        assert len(found) == 1
        assert not accepts(os.getpid(), found)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            made, _ = own.accept()
            with made:
                assert accepts(os.getpid(), found)
