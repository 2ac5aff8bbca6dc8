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


@pytest.mark.parametrize(
    ("interface", "settings"), [("wsgi", {}), ("asgi", {"server": "uvicorn"})], ids=["gunicorn", "uvicorn"]
)
def test_a_front_that_hides_who_asks_is_found(
    app: Served, interface: Interface, settings: dict[str, Any]
) -> None:
    """By a line that somebody took out of the site."""
    set_up(app, "v1", interface, **settings)
    first = app.ask("deploy")
    verified = next(step["detail"] for step in first["steps"] if step["name"] == "verify")
    assert f"which sees https://{DOMAIN} and who asks" in verified
    app.host.run("sed", "-i", "/X-Forwarded-For/d", "/etc/nginx/sites-available/segue-shop")
    app.host.run("systemctl", "reload", "nginx")
    app.edit("v2", SEEN[interface], target=TLS, interface=interface, settings=settings)
    demand_found(app, first, f"seen: https://{DOMAIN} from nobody\n")


def test_a_server_that_does_not_believe_its_front_is_found(app: Served) -> None:
    """Its env file names another one to believe: it takes https for http, and nginx for the client."""
    set_up(app, "v1", "asgi", server="uvicorn")
    first = app.ask("deploy")
    app.host.run("sh", "-c", "echo FORWARDED_ALLOW_IPS=192.0.2.1 >> /etc/shop.env")
    app.edit("v2", SEEN["asgi"], target=TLS, interface="asgi", settings={"server": "uvicorn"})
    demand_found(app, first, f"seen: http://{DOMAIN} from ")


def demand_found(app: Served, first: dict[str, Any], seen: str) -> None:
    refused = app.ask("deploy", code=1)["error"]
    assert refused["message"] == "After the switch the app did not see how it was asked."
    assert f"asked: https://{DOMAIN} from 127.0.0.1\n{seen}" in refused["evidence"]
    assert "FORWARDED_ALLOW_IPS" in refused["hint"]
    assert app.record()["live"] == first["generation"]
