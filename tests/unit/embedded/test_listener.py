"""The listening socket: had, or refused with the name of who has it; what is another's is not touched."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from segue.core.address import Address, parse_address
from segue.core.errors import Refused, UsageError
from segue.embedded.listener import bind_listener, bound_address


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_port_that_was_left_open_is_chosen_and_told(host: str, family: socket.AddressFamily) -> None:
    address = Address(host, 0)
    with bind_listener(address) as listener:
        bound = bound_address(address, listener)
        assert listener.family == family
        assert bound.port > 0
        with socket.create_connection((bound.host, bound.port), timeout=5):
            listener.accept()[0].close()


def test_a_unix_socket_is_listened_on(tmp_path: Path) -> None:
    address = parse_address(f"unix:{tmp_path}/shop.sock")
    with bind_listener(address) as listener, socket.socket(socket.AF_UNIX) as client:
        assert bound_address(address, listener) == address
        client.connect(address.path)


def test_a_unix_socket_that_a_dead_server_left_is_taken_over(tmp_path: Path) -> None:
    address = parse_address(f"unix:{tmp_path}/shop.sock")
    bind_listener(address).close()
    assert Path(address.path).is_socket()
    bind_listener(address).close()


def test_a_unix_socket_in_use_is_refused_with_its_holder_and_left_alone(tmp_path: Path) -> None:
    address = parse_address(f"unix:{tmp_path}/shop.sock")
    with bind_listener(address):
        with pytest.raises(Refused, match="is in use") as refused:
            bind_listener(address)
        assert f"held by pid {os.getpid()} of user" in refused.value.evidence
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address.path)


def test_a_unix_socket_whose_queue_is_full_is_in_use_and_not_waited_for(tmp_path: Path) -> None:
    address = parse_address(f"unix:{tmp_path}/shop.sock")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(address.path)
        busy.listen(0)
        client.connect(address.path)
        with pytest.raises(Refused, match="is in use"):
            bind_listener(address)


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(Refused):
        bind_listener(parse_address(f"unix:{path}"))
    assert path.read_text() == "mine"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_in_use_is_refused_with_its_holder(host: str) -> None:
    with bind_listener(Address(host, 0)) as listener:
        taken = bound_address(Address(host, 0), listener)
        with pytest.raises(Refused, match="is in use") as refused:
            bind_listener(taken)
    assert refused.value.kind == "port_in_use"
    assert f"held by pid {os.getpid()} of user" in refused.value.evidence


@pytest.mark.parametrize("text", ["203.0.113.7:0", "no-such-host.invalid:0", "unix:/nonexistent/shop.sock"])
def test_an_address_that_this_machine_has_not_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as error:
        bind_listener(parse_address(text))
    assert error.value.kind == "bind"
