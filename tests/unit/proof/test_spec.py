"""What a probe may be asked, how it travels, and what goes over the wire for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.core.address import Address
from segue.core.errors import UsageError
from segue.proof.spec import ProbeSpec, Shot
from segue.proof.target import Target, parse_target

TARGET = Target(Address("127.0.0.1", 80), host="shop.example", path="/from-the-url?n={n}")

shots = st.builds(
    Shot,
    method=st.sampled_from(["GET", "POST", "PUT"]),
    path=st.sampled_from(["", "/", "/orders/{n}?a=b"]),
    headers=st.lists(st.tuples(st.just("X-Name"), st.text("aé ", max_size=3).map(str.strip))).map(tuple),
    body=st.lists(st.binary(), max_size=3).map(tuple),
    pause=st.floats(0, 10),
)


@given(st.lists(shots, min_size=1, max_size=3).map(tuple))
def test_a_spec_travels_as_one_line(kinds: tuple[Shot, ...]) -> None:
    spec = ProbeSpec("http://a/", connect="unix:/run/a.sock", rate=3.5, shots=kinds, report="/r.json")
    line = spec.to_json()
    assert "\n" not in line
    assert ProbeSpec.from_json(line) == spec


def header(head: h11.Request, name: bytes) -> list[bytes]:
    return [value for key, value in head.headers if key == name]


def test_the_number_goes_into_path_and_body() -> None:
    shot = Shot("POST", "/orders/{n}", body=(b'{"id": {n}', b"}"))
    head, pieces = shot.request(123, TARGET, keep_alive=True)
    assert head.target == b"/orders/123"
    assert pieces == [b'{"id": 123', b"}"]
    assert header(head, b"content-length") == [b"11"]
    assert header(head, b"connection") == []


def test_a_shot_without_a_path_takes_the_urls() -> None:
    head, pieces = Shot().request(7, TARGET, keep_alive=False)
    assert head.target == b"/from-the-url?n=7"
    assert header(head, b"connection") == [b"close"]
    assert header(head, b"host") == [b"shop.example"]
    assert header(head, b"content-length") == pieces == []


def test_host_and_user_agent_can_be_given() -> None:
    shot = Shot(headers=(("Host", "other.example"), ("User-Agent", "mine")))
    head, _ = shot.request(0, TARGET, keep_alive=True)
    assert header(head, b"host") == [b"other.example"]
    assert header(head, b"user-agent") == [b"mine"]


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": (("Connection", "close"),)},
        {"headers": (("content-length", "3"),)},
        {"headers": (("Bad Name", "x"),)},
        {"headers": (("X", "a\r\nInjected: b"),)},
        {"headers": (("X", "\u20ac"),)},
        {"path": "/with space"},
        {"method": "G T"},
    ],
)
def test_what_is_no_http_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refusal:
        Shot(**fields)
    assert refusal.value.hint


@pytest.mark.parametrize(
    "fields",
    [
        {"rate": 0},
        {"rate": -1},
        {"rate": 5001},
        {"rate": float("nan")},
        {"keep_alive": -0.1},
        {"keep_alive": 1.1},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"shots": ()},
    ],
)
def test_what_is_out_of_range_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        replace(ProbeSpec("http://a/"), **fields)


@pytest.mark.parametrize(
    ("url", "connect", "target"),
    [
        ("http://a", "", Target(Address("a", 80), "a", "/")),
        ("https://A.b/x?y=z#w", "", Target(Address("a.b", 443), "a.b", "/x?y=z", "a.b")),
        ("http://[::1]:8000/", "", Target(Address("::1", 8000), "[::1]:8000", "/")),
        ("http://b\u00fccher.example:81/\u00e9 {n}", "",
         Target(Address("xn--bcher-kva.example", 81), "xn--bcher-kva.example:81", "/%C3%A9%20{n}")),
        ("https://a/", "127.0.0.1:8443", Target(Address("127.0.0.1", 8443), "a", "/", "a")),
        ("http://a/", "unix:/run/a.sock", Target(Address(path="/run/a.sock"), "a", "/")),
    ],
)  # fmt: skip
def test_a_url_names_a_target(url: str, connect: str, target: Target) -> None:
    assert parse_target(url, connect) == target


@pytest.mark.parametrize(
    ("url", "connect"),
    [
        ("", ""),
        ("shop.example", ""),
        ("ftp://shop.example/", ""),
        ("http://", ""),
        ("http:///path", ""),
        ("http://a:port/", ""),
        ("http://a:70000/", ""),
        ("http://[::1/", ""),
        (f"http://{'a' * 64}.example/", ""),
        ("http://a/", "nowhere"),
        ("http://a/", "a..b:80"),
    ],
)
def test_what_names_no_target_is_refused(url: str, connect: str) -> None:
    with pytest.raises(UsageError):
        parse_target(url, connect)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as refusal:
        parse_target("ftp://user:secret@shop.example/")
    assert "secret" not in f"{refusal.value.as_dict()}"
