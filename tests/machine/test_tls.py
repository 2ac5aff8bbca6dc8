"""A server with a certificate: http leads to https, and the app sees who comes, and how."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.apps import Interface
from tests.support.machine.host import CHECKOUT, Host
from tests.support.machine.served import DEPLOY_TIMEOUT, SEGUE, TARGET, Served
from tests.support.machine.shop import DOMAIN
from tests.support.site import demand_no_loss, traffic

CERTIFICATE, KEY = "/etc/ssl/shop/fullchain.pem", "/etc/ssl/shop/key.pem"
TLS = {"certificate": CERTIFICATE, "certificate_key": KEY}
SEEN = {
    "wsgi": """
_plain = app


def app(environ, start_response):
    if environ["PATH_INFO"] != "/seen":
        return _plain(environ, start_response)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.url_scheme']} {environ['HTTP_X_FORWARDED_FOR']} {environ['HTTP_HOST']}".encode()]
""",
    "asgi": """
_plain = app


async def app(scope, receive, send):
    if scope.get("path") != "/seen":
        return await _plain(scope, receive, send)
    host = dict(scope["headers"])[b"host"].decode()
    body = f"{scope['scheme']} {(scope['client'] or ['nobody'])[0]} {host}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
""",
}
LOOPS = """
_plain = app


def app(environ, start_response):
    if environ["PATH_INFO"] != "/login" or environ.get("HTTP_X_SSL"):
        return _plain(environ, start_response)
    start_response("302 Found", [("Location", "https://shop.example/login")])
    return [b""]
"""


@pytest.fixture
def app(host: Host) -> Served:
    made = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        f"/CN={DOMAIN}",
    )
    host.run("mkdir", "-p", "/etc/ssl/shop")
    host.run(*made, "-keyout", KEY, "-out", CERTIFICATE)
    return Served(host)


def set_up(
    app: Served, version: str, interface: Interface = "wsgi", added: str = "", **settings: object
) -> None:
    app.edit(version, added or SEEN[interface], target=TLS, interface=interface, settings=settings)
    app.host.run(SEGUE, "setup", TARGET, "--yes", cwd=CHECKOUT, timeout=DEPLOY_TIMEOUT)


def curl(app: Served, *words: str) -> str:
    known = (
        "--resolve",
        f"{DOMAIN}:443:127.0.0.1",
        "--resolve",
        f"{DOMAIN}:80:127.0.0.1",
        "--cacert",
        CERTIFICATE,
    )
    return app.host.run("curl", "-s", "--max-time", "20", *known, *words).out


@pytest.mark.parametrize(
    ("interface", "settings", "client"),
    [
        ("wsgi", {}, "127.0.0.1"),
        ("asgi", {"server": "uvicorn"}, "127.0.0.1"),
        # Gunicorn's own leaves the address to the app, as it does for WSGI
        ("asgi", {"server": "gunicorn", "worker_class": "asgi"}, "nobody"),
        ("asgi", {"server": "gunicorn", "worker_class": "uvicorn_worker.UvicornWorker"}, "127.0.0.1"),
    ],
)
def test_the_app_sees_who_comes_and_how(
    app: Served, interface: Interface, settings: dict[str, Any], client: str
) -> None:
    set_up(app, "v1", interface, **settings)
    app.ask("deploy")
    assert curl(app, f"https://{DOMAIN}/seen") == f"https {client} {DOMAIN}"
    forged = (
        "-H",
        "X-Forwarded-For: 192.0.2.7",
        "-H",
        "X-Forwarded-Proto: http",
        "-H",
        "Forwarded: for=192.0.2.7",
    )
    assert curl(app, *forged, f"https://{DOMAIN}/seen") == f"https {client} {DOMAIN}"
    moved = curl(app, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", f"http://{DOMAIN}/seen")
    assert moved == f"308 https://{DOMAIN}/seen"


def test_a_deploy_under_https_loses_nothing(app: Served) -> None:
    set_up(app, "v1")
    app.ask("deploy")
    with traffic(
        f"https://{DOMAIN}/", connect=f"{app.host.address}:443", way=app.host.way, insecure=True
    ) as load:
        set_up(app, "v2")
        app.ask("deploy")
        app.ask("rollback")
    demand_no_loss(load)


def test_an_app_that_leads_to_itself_is_taken_back(app: Served) -> None:
    set_up(app, "v1")
    first = app.ask("deploy")
    set_up(app, "v2", added=LOOPS, smoke=["/login"])
    refused = app.ask("deploy", code=1)
    assert refused["error"]["message"] == "After the switch /login led back to itself, for ever."
    assert "ProxyFix" in refused["error"]["hint"]
    assert app.record()["live"] == first["generation"]
