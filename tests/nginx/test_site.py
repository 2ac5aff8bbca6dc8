"""The site as a real nginx runs it: what the app sees, what is refused, and what is passed through."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.apps import make_app
from tests.support.nginx import HAS_IPV6, ONE, Front, front, needs_nginx
from tests.support.servers import certificate
from tests.support.site import until
from websockets.sync.client import connect

from segue.front.log import NGINX, Answers, Position

pytestmark = needs_nginx
TIMEOUT = 60.0


@pytest.fixture
def site() -> Iterator[Front]:
    with front() as made:
        made.generation(ONE)
        made.link.route(ONE)
        yield made


def ask(
    site: Front, path: str = "/", headers: dict[str, str] | None = None, *, tls: bool = False, **words: Any
) -> http.client.HTTPResponse:
    if tls:
        context = ssl._create_unverified_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", site.doors.https, timeout=TIMEOUT, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", site.doors.http, timeout=TIMEOUT)
    with contextlib.closing(connection):
        method = "POST" if "body" in words else "GET"
        connection.request(method, path, headers={"Host": "shop.example", **(headers or {})}, **words)
        answer = connection.getresponse()
        answer.text = answer.read().decode()  # type: ignore[attr-defined]
        return answer


def seen(site: Front, path: str = "/", headers: dict[str, str] | None = None, **words: Any) -> dict[str, str]:
    environ: dict[str, str] = json.loads(ask(site, path, headers, **words).text)  # type: ignore[attr-defined]
    return environ


def raw(site: Front, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", site.doors.http), TIMEOUT) as client:
        client.sendall(request)
        received = b""
        while more := client.recv(65536):
            received += more
    return received


def test_headers_as_the_app_sees_them(site: Front) -> None:
    site.nginx.put("segue-shop", site.site())
    environ = seen(site, "/a%20b?c=d", {"Host": f"shop.example:{site.doors.http}"})
    assert environ["HTTP_HOST"] == environ["HTTP_X_FORWARDED_HOST"] == f"shop.example:{site.doors.http}"
    assert environ["HTTP_X_FORWARDED_FOR"] == environ["HTTP_X_REAL_IP"] == "127.0.0.1"
    assert environ["HTTP_X_FORWARDED_PROTO"] == environ["wsgi.url_scheme"] == "http"
    assert environ["HTTP_X_FORWARDED_PORT"] == str(site.doors.http)
    assert (environ["RAW_URI"], environ["SERVER_PROTOCOL"]) == ("/a%20b?c=d", "HTTP/1.1")
    assert environ["HTTP_CONNECTION"] == "close"
    assert "HTTP_UPGRADE" not in environ


def test_what_a_client_claims_is_not_believed(site: Front) -> None:
    site.nginx.put("segue-shop", site.site())
    claims = {
        "X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4", "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil", "X-Forwarded-Prefix": "/evil", "X-Forwarded-Port": "1",
        "X-Forwarded-Ssl": "on", "X-Forwarded-Protocol": "ssl", "Forwarded": "for=1", "Proxy": "evil",
        "Script_Name": "/evil", "Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings",
    }  # fmt: skip
    environ = seen(site, headers=claims)
    assert environ["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert environ["HTTP_X_REAL_IP"] == "127.0.0.1"
    assert environ["HTTP_X_FORWARDED_PROTO"] == environ["wsgi.url_scheme"] == "http"
    assert environ["HTTP_X_FORWARDED_HOST"] == "shop.example"
    assert environ["HTTP_CONNECTION"] == "close"
    assert "evil" not in json.dumps(environ)
    for gone in (
        "FORWARDED",
        "PROXY",
        "UPGRADE",
        "X_FORWARDED_SSL",
        "X_FORWARDED_PROTOCOL",
        "X_FORWARDED_PREFIX",
    ):
        assert f"HTTP_{gone}" not in environ


def test_a_request_without_a_host_has_one_at_the_app(site: Front) -> None:
    site.nginx.put("segue-shop", site.site())
    body = raw(site, b"GET / HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")[2]
    assert json.loads(body)["HTTP_HOST"] == "shop.example"


def test_body_limit(site: Front) -> None:
    site.nginx.put("segue-shop", site.site(body_limit="10k"))
    assert ask(site, body=b"x" * 10 * 1024).status == 200
    assert ask(site, body=b"x" * (10 * 1024 + 1)).status == 413


def test_with_a_certificate(site: Front) -> None:
    file = certificate(site.root)
    acme = site.root / "acme/.well-known/acme-challenge"
    acme.mkdir(parents=True)
    (acme / "token").write_text("thumb")
    text = site.site(certificate=str(file), certificate_key=str(file), acme_root=str(site.root / "acme"))
    site.nginx.put("segue-shop", text)

    moved = ask(site, "/a?b=c", {"Host": "shop.example:1"})
    assert moved.status == 308
    assert moved.headers["Location"] == f"https://shop.example:{site.doors.https}/a?b=c"
    environ = seen(site, tls=True)
    assert environ["HTTP_X_FORWARDED_PROTO"] == environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_X_FORWARDED_PORT"] == str(site.doors.https)
    challenge = ask(site, "/.well-known/acme-challenge/token")
    assert (challenge.status, challenge.text) == (200, "thumb")  # type: ignore[attr-defined]
    assert ask(site, "/.well-known/acme-challenge/other").status == 404


@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here")
def test_answers_by_ipv6(site: Front) -> None:
    site.nginx.put("segue-shop", site.site())
    with socket.create_connection(("::1", site.doors.http), TIMEOUT) as client:
        client.sendall(b"GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"


def test_a_websocket_goes_through(tmp_path: Path) -> None:
    make_app(tmp_path, version="v1", interface="asgi")
    with front() as site:
        site.generation(ONE, ("uvicorn", "--uds={socket}", "wsgi:app"), cwd=tmp_path)
        site.link.route(ONE)
        site.nginx.put("segue-shop", site.site())
        with connect(f"ws://127.0.0.1:{site.doors.http}/echo", open_timeout=TIMEOUT) as client:
            client.send("hello")
            assert client.recv(TIMEOUT) == "hello"


def is_logged(site: Front, number: int) -> bool:
    """Whether nginx has written so many lines: each of its workers does so after it has answered."""
    return len(site.log.path.read_text().splitlines()) >= number


def test_the_log_says_who_answered(site: Front) -> None:
    site.nginx.put("segue-shop", site.site())
    for number, path in enumerate(("/", "/a?secret=1", "/error"), start=1):
        ask(site, path)
        until(partial(is_logged, site, number), what="its line")
    site.servers[ONE].kill()
    site.servers[ONE].wait()
    for sock in site.root.glob("*/http.sock"):
        sock.unlink()
    assert ask(site).status == 502
    expected = {ONE: Answers(3, 1), NGINX: Answers(1, 1)}
    until(lambda: site.log.tally(Position(0, 0)) == expected, what="the log")
    lines = [json.loads(line) for line in site.log.path.read_text().splitlines()]
    assert [line["path"] for line in lines] == ["/", "/a", "/error", "/"]
    assert {line["release"] for line in lines} == {ONE.rpartition(".")[0], ""}
    assert all(float(line["seconds"]) >= 0 and int(line["request_bytes"]) > 0 for line in lines)
    assert "secret" not in site.log.path.read_text()


def test_what_clients_send_does_not_break_the_log(site: Front) -> None:
    site.nginx.put("segue-shop", site.site())
    hostile = [
        b"GET /%22,%22status%22:%22500%22,%22generation%22:%22x%22} HTTP/1.1\r\nHost: shop.example",
        b"GET /%0a{%22status%22:%22500%22,%22generation%22:%22%22}%0a HTTP/1.1\r\nHost: shop.example",
        b"GET /%ff%fe%5c HTTP/1.1\r\nHost: shop.example",
        b'GET /\xff\\" HTTP/1.1\r\nHost: shop.example\r\nX-Segue-Generation: ' + ONE.encode(),
    ]
    for request in hostile:
        assert raw(site, request + b"\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 ")
    raw(site, b"\x16\x03\x01 nonsense\r\n\r\n")
    until(lambda: sum(each.answers for each in site.log.tally(Position(0, 0)).values()) >= 4, what="the log")
    assert all(not each.errors for each in site.log.tally(Position(0, 0)).values())


def test_two_apps_on_one_server(site: Front) -> None:
    site.nginx.put("segue-shop", site.site())
    site.nginx.put(f"segue-{'a' * 31}", site.site("a" * 31, domain="other.example"))
    site.nginx.put("segue-shop-eu", site.site("shop-eu", domain="eu.example"))
    for host in ("shop.example", "other.example", "eu.example"):
        assert seen(site, headers={"Host": host})["HTTP_HOST"] == host
