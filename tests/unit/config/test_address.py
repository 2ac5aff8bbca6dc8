import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.core.address import Address, parse_address

ports = st.integers(0, 65535)
names = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9-]{0,20})?", fullmatch=True)
paths = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=100).map("/".__add__)
addresses = st.one_of(
    st.builds(Address, names, ports),
    st.builds(Address, st.builds(str, st.ip_addresses()), ports),
    st.builds(Address, path=paths),
)


@given(addresses)
def test_an_address_is_written_and_read_back(address: Address) -> None:
    assert parse_address(str(address)) == address


@given(st.text() | st.text(alphabet="unix:/[]0123456789.a-"))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError as error:
        assert str(error).startswith("should ")  # noqa: PT017 - most texts are refused, some are not
    else:
        assert parse_address(str(address)) == address


@given(st.ip_addresses(), ports)
def test_the_family_follows_the_ip_version(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    assert Address(str(ip), port).family == {4: socket.AF_INET, 6: socket.AF_INET6}[ip.version]


def test_parts() -> None:
    assert parse_address("localhost:0") == Address(host="localhost", port=0)
    assert parse_address("localhost:65535").port == 65535
    assert parse_address("[::1]:8000") == Address(host="::1", port=8000)
    assert parse_address("unix:/run/shop.sock") == Address(path="/run/shop.sock")
    assert parse_address("localhost:0").family == socket.AF_INET
    assert parse_address("unix:/run/shop.sock").family == socket.AF_UNIX


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "HOST:PORT"),
        ("8000", "HOST:PORT"),
        (":8000", "HOST:PORT"),
        ("localhost", "HOST:PORT"),
        ("localhost:", "HOST:PORT"),
        ("localhost:-1", "HOST:PORT"),
        ("localhost:http", "HOST:PORT"),
        ("-o:80", "HOST:PORT"),
        ("::1:8000", "HOST:PORT"),
        ("http://localhost:8000", "HOST:PORT"),
        ("localhost:8000\n", "HOST:PORT"),
        ("localhost:٣", "HOST:PORT"),
        ("localhost:000080", "HOST:PORT"),
        ("localhost:65536", "port from 0 to 65535"),
        ("256.0.0.1:80", "IPv4"),
        ("1.2.3:80", "IPv4"),
        ("[1::2::3]:80", "IPv6"),
        ("[127.0.0.1]:80", "IPv6"),
        ("unix:", "full path"),
        ("unix:run/shop.sock", "full path"),
        ("unix:/run/\n", "full path"),
        ("unix:/run/\0", "full path"),
        ("unix:/" + "x" * 107, "107 bytes"),
        ("unix:/" + "é" * 54, "107 bytes"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^should .*{reason}"):
        parse_address(text)


def test_the_longest_socket_path_fits() -> None:
    path = "/" + "x" * 106
    with socket.socket(socket.AF_UNIX) as unix, pytest.raises(FileNotFoundError):
        unix.connect(parse_address(f"unix:{path}").path)


@pytest.mark.parametrize(
    ("text", "reachable", "host"),
    [
        ("0.0.0.0:80", "127.0.0.1:80", "127.0.0.1:80"),
        ("[::]:80", "[::1]:80", "[::1]:80"),
        ("shop.example:80", "shop.example:80", "shop.example:80"),
        ("unix:/run/shop", "unix:/run/shop", "localhost"),
    ],
)
def test_what_listens_everywhere_is_asked_by_its_own_address(text: str, reachable: str, host: str) -> None:
    address = parse_address(text)
    assert (str(address.reachable), address.host_header) == (reachable, host)
