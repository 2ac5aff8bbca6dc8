"""The site's text: what it says for which target, and that nothing in it can mean something else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from segue.config.schema import Target
from segue.core.errors import UsageError
from segue.front.site import Doors, StaticPlace, access_log, error_log, render_site, variable_prefix

SOCKET = Path("/run/segue/shop/front/live.sock")
TLS: dict[str, Any] = {
    "certificate": Path("/etc/ssl/shop/chain.pem"),
    "certificate_key": Path("/etc/ssl/shop/key.pem"),
}


def target(**settings: Any) -> Target:
    """As config would have made it, without its own refusals."""
    return Target.model_construct(
        **{"domain": "shop.example", "aliases": (), "body_limit": "10m", **settings},
        _fields_set=set(settings),
    )


def render(app: str = "shop", socket: Path = SOCKET, doors: Doors | None = None, **settings: Any) -> str:
    return render_site(app, target(**settings), socket, doors=doors or Doors())


def directives(text: str, name: str) -> list[str]:
    return re.findall(rf"^\s*{name} (.*);$", text, re.MULTILINE)


def servers(text: str) -> list[str]:
    return re.findall(r"^server \{.*?^\}", text, re.MULTILINE | re.DOTALL)


def test_http_alone() -> None:
    text = render()
    assert len(servers(text)) == 1
    assert directives(text, "listen") == ["80", "[::]:80"]
    assert directives(text, "server_name") == ["shop.example"]
    assert directives(text, "proxy_pass") == [f"http://unix:{SOCKET}"]
    assert "acme" not in text
    assert "ssl" not in text.replace("X-Forwarded-Ssl", "")


def test_with_a_certificate_http_leads_to_https() -> None:
    first, second = servers(render(**TLS))
    assert directives(first, "listen") == ["80", "[::]:80"]
    assert directives(first, "return") == ["308 https://$host$request_uri"]
    assert directives(first, "proxy_pass") == []
    assert directives(second, "listen") == ["443 ssl", "[::]:443 ssl"]
    assert directives(second, "ssl_certificate") == [str(TLS["certificate"])]
    assert directives(second, "ssl_certificate_key") == [str(TLS["certificate_key"])]
    assert directives(second, "proxy_pass") == [f"http://unix:{SOCKET}"]


def test_other_ports() -> None:
    first, second = servers(render(doors=Doors(8080, 8443, ipv6=False), **TLS))
    assert directives(first, "listen") == ["8080"]
    assert directives(first, "return") == ["308 https://$host:8443$request_uri"]
    assert directives(second, "listen") == ["8443 ssl"]


def test_challenges_are_answered_over_plain_http() -> None:
    settings: dict[str, Any]
    for settings in ({}, TLS):
        first, *others = servers(render(acme_root=Path("/var/www/acme"), **settings))
        assert directives(first, "root") == ["/var/www/acme"]
        assert not any("acme" in other for other in others)


def test_every_name_once() -> None:
    text = render(aliases=("www.shop.example", "SHOP.example", "xn--lden-loa.example"))
    assert directives(text, "server_name") == ["shop.example www.shop.example xn--lden-loa.example"]


def test_body_limit() -> None:
    assert directives(render(body_limit="512k"), "client_max_body_size") == ["512k"]


def test_logs_are_the_apps_own() -> None:
    text = render("shop-eu", body_limit="1m")
    assert directives(text, "access_log") == [f"{access_log('shop-eu')} segue_shop-eu"]
    assert directives(text, "error_log") == [f"{error_log('shop-eu')}"]
    assert "log_format segue_shop-eu escape=json\n" in text


def test_two_apps_define_nothing_of_the_same_name() -> None:
    defined = re.compile(r"^(?:map \S+ (\S+) \{|log_format (\S+))", re.MULTILINE)
    one, two = (set(defined.findall(render(app))) for app in ("shop", "shop-eu"))
    assert len(one) == 4
    assert not one & two


def test_variables_fit_nginx_as_it_comes() -> None:
    app = "a" * 31
    variables = re.findall(rf"\$({variable_prefix(app)}\w*)", render(app))
    assert {len(name) for name in variables} <= set(range(47))


def test_nothing_is_sent_twice_nor_kept_alive() -> None:
    text = render(**TLS)
    assert directives(text, "proxy_next_upstream") == ["off"]
    assert not re.search(r"^\s*(upstream|keepalive)\b", text, re.MULTILINE)


@pytest.mark.parametrize(
    "app", ["", "Shop", "9shop", "shop.eu", "../shop", "shop;", "shop\n", "a b", "$(id)", "-o", "a" * 32, "ä"]
)
def test_hostile_app_names_are_refused(app: str) -> None:
    with pytest.raises(UsageError, match="app's name"):
        render(app)


@pytest.mark.parametrize(
    "domain",
    [
        "", "_", ".shop.example", "*.shop.example", "~^(.*)$", "shop.example;", "shop.example\n", "a b",
        "a..b", "shop.example.", "-shop.example", "shop-.example", "$host",
        '"a"', "a{", "#a", "lädchen.example",
        f"{'a' * 64}.example", ".".join(["abcdefgh"] * 32), "shop.example default_server",
    ],
)  # fmt: skip
def test_hostile_names_are_refused(domain: str) -> None:
    both: tuple[dict[str, Any], ...] = ({"domain": domain}, {"aliases": ("www.shop.example", domain)})
    for settings in both:
        with pytest.raises(UsageError, match="domain name"):
            render(**settings)


@pytest.mark.parametrize(
    "path", ["x", "/", "/a b", "/a;", "/a\n", "/a{", "/$a", "/a/../b", "/a'", "/a/./b", "//a"]
)
@pytest.mark.parametrize("key", ["certificate", "certificate_key", "acme_root"])
def test_hostile_paths_are_refused(key: str, path: str) -> None:
    # a plain text: Path would tidy some of them up
    with pytest.raises(UsageError, match="full path"):
        render(**{**TLS, key: path})


@pytest.mark.parametrize("limit", ["", "0", "10g", "10m;", "-1", "1 m"])
def test_hostile_sizes_are_refused(limit: str) -> None:
    with pytest.raises(UsageError, match="size"):
        render(body_limit=limit)


@pytest.mark.parametrize("path", ["live.sock", "/run/a b/live.sock", "/run/;/live.sock", "/run/../live.sock"])
def test_hostile_sockets_are_refused(path: str) -> None:
    with pytest.raises(UsageError, match="path of a socket"):
        render(socket=Path(path))


def test_a_socket_that_the_kernel_could_not_reach_is_refused() -> None:
    with pytest.raises(UsageError, match="too long"):
        render(socket=Path("/run/" + "a" * 103))


def test_a_site_needs_a_name() -> None:
    with pytest.raises(UsageError, match="needs a name"):
        render(domain=None)


@pytest.mark.parametrize("missing", TLS)
def test_half_a_certificate_is_refused(missing: str) -> None:
    with pytest.raises(UsageError, match="go together"):
        render(**{**TLS, missing: None})


def test_static_files_are_nginxs_and_what_it_lacks_the_apps() -> None:
    def with_static(url: str, folder: str = "/run/segue/shop/front/static", **settings: Any) -> str:
        place = StaticPlace(url, Path(folder))
        return render_site("shop", target(**settings), SOCKET, doors=Doors(), static=place)

    assert "static" not in render()
    text = with_static("/assets/v1/")
    assert re.findall(r"^    location (.*) \{$", text, re.MULTILINE) == ["^~ /assets/v1/", "/", "@app"]
    # both end in a slash: without it nginx would serve what is beside the folder
    assert directives(text, "alias") == ["/run/segue/shop/front/static/"]
    assert directives(text, "proxy_pass") == [f"http://unix:{SOCKET}"] * 2
    assert [text.count("alias") for text in servers(with_static("/static/", **TLS))] == [0, 1]
    for url in ("/static", "static/", "/", "//", "/../", "/a/./", "/a b/", "/a;/", "/a{/", '/a"/', "/é/"):
        with pytest.raises(UsageError):
            with_static(url)
    with pytest.raises(UsageError):
        with_static("/static/", "/run/a b")
