"""nginx's site that leads to a service is found in its config, however it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.bad import demand_good_error

from segue.core.address import Address
from segue.core.errors import Refused
from segue.front.tree import read_tree
from segue.reload.door import Door, Witness, _sites
from segue.reload.look import _placed

UNIX, TCP = Address(path="/run/shop.sock"), Address("localhost", 8000)


def site(tmp_path: Path, body: str, before: str = "") -> Door | None:
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"events {{}}\nhttp {{\n{before}\nserver {{\n{body}\n}}\n}}\n")
    return next(_sites(read_tree(conf), {UNIX, TCP}), None)


@pytest.mark.parametrize(
    "target",
    [
        "http://unix:/run/shop.sock",
        "http://unix:/run/shop.sock:/",
        "http://127.0.0.1:8000",
        "http://localhost:8000/",
    ],
)
def test_a_site_is_found_by_where_it_passes_requests(tmp_path: Path, target: str) -> None:
    door = site(tmp_path, f"listen 80; server_name _ shop.example; location / {{ proxy_pass {target}; }}")
    assert door is not None
    assert (door.host, door.connect, door.is_secure) == ("shop.example", Address("127.0.0.1", 80), False)


def test_an_upstream_is_followed(tmp_path: Path) -> None:
    before = "upstream app { server unix:/run/shop.sock fail_timeout=0; }"
    body = (
        "listen [::]:8443 ssl; server_name shop.example;\n"
        "location @app { proxy_pass http://app; } access_log /l/a;"
    )
    door = site(tmp_path, body, before)
    assert door is not None
    assert door.is_secure
    assert door.connect == Address("127.0.0.1", 8443)
    assert door.url("/x") == "https://shop.example/x"
    assert door.logs[0] == Path("/l/a")


def test_a_name_that_stands_for_all_below_it_is_a_host_as_well(tmp_path: Path) -> None:
    door = site(
        tmp_path,
        "listen 80; server_name .shop.example; location / { proxy_pass http://unix:/run/shop.sock; }",
    )
    assert door is not None
    assert door.host == "shop.example"


def test_a_socket_is_found_where_the_master_made_it() -> None:
    addresses = (Address(path="shop.sock"), Address(path="/run/shop.sock"), Address("localhost", 8000))
    assert _placed(addresses, "/srv/shop") == {Address(path="/srv/shop/shop.sock"), UNIX, TCP}


def test_a_socket_that_no_path_leads_to_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        _placed((Address(path="@shop"),), "/srv/shop")
    demand_good_error(caught.value.as_dict())
    assert caught.value.evidence == "unix:@shop"


def test_a_site_that_leads_elsewhere_is_not_it(tmp_path: Path) -> None:
    assert site(tmp_path, "listen 80; location / { proxy_pass http://127.0.0.1:9000; }") is None


def test_the_witness_tells_what_came_after_it(tmp_path: Path) -> None:
    access, errors = tmp_path / "access.log", tmp_path / "error.log"
    line = '127.0.0.1 - - [21/Nov/2026] "GET / HTTP/1.1" {} 157 "-" "curl"\n'
    access.write_text(line.format(502))
    errors.write_text("")
    witness = Witness(Door("shop.example", UNIX, logs=(access, errors)))
    with access.open("a") as log:
        log.write(line.format(200) + line.format(504) + line.format(404))
    errors.write_text("1#1: *1 connect() to unix:/x failed (111: refused) while connecting to upstream\n")
    assert [text.split('"')[2].split()[0] for text in witness.complaints()[:1]] == ["504"]
    assert len(witness.complaints()) == 2
