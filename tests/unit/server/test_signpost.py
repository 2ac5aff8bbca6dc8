"""Both of nginx's links lead to one release, whenever whoever changes them dies."""

from __future__ import annotations

import getpass
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from segue.config.schema import AppConfig
from segue.core.ids import release_of
from segue.deploy.releases import Releases
from segue.server.home import home_of
from segue.server.installed import Installed
from segue.server.layout import Layout
from segue.server.signpost import Signpost

ONE, TWO, BEFORE = (f"20261121T01345{second}-8c1f2e9.1" for second in (5, 6, 4))
CONFIG = AppConfig.model_validate({"name": "shop"})


@pytest.fixture
def layout() -> Iterator[Layout]:
    """Two generations with static files and one without, in a short path: there are sockets in it."""
    with tempfile.TemporaryDirectory(prefix="sg", dir="/tmp") as folder:
        made = Layout("shop", Path(folder))
        for needed in (made.front, made.release_states):
            needed.mkdir(parents=True)
        for name in (ONE, TWO, BEFORE):
            made.socket_folder(name).mkdir()
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(made.socket_path(name)))
            facts = {} if name == BEFORE else {"static": "out/static", "static_url": "/static/"}
            Releases(home_of(made)).update(release_of(name), **facts)
        yield made


def signpost(layout: Layout, static_url: str | None = "/static/") -> Signpost:
    installed = Installed(
        app="shop",
        target="production",
        user="shop",
        deploy_user=getpass.getuser(),
        domain="shop.example",
        version="0",
        static_url=static_url,
    )
    return Signpost(home_of(layout), installed, CONFIG)


def test_static_files_change_sides_with_the_requests(layout: Layout) -> None:
    for name in (ONE, TWO, ONE):
        signpost(layout).route(name)
        assert signpost(layout).routed() == name
        assert layout.static_link.readlink() == layout.release(release_of(name)) / "out/static"


def test_a_death_between_the_two_links_is_seen(layout: Layout) -> None:
    signpost(layout).route(ONE)
    layout.static_link.unlink()
    layout.static_link.symlink_to(layout.release(release_of(TWO)) / "out/static")
    assert signpost(layout).routed() is None
    signpost(layout).route(ONE)
    assert signpost(layout).routed() == ONE


def test_a_release_from_before_or_for_another_place_is_the_apps_to_serve(layout: Layout) -> None:
    signpost(layout).route(ONE)
    signpost(layout).route(BEFORE)
    assert not layout.static_link.is_symlink()
    assert signpost(layout).routed() == BEFORE
    for url in ("/assets/", None):
        signpost(layout, url).route(ONE)
        assert not layout.static_link.is_symlink()
        assert signpost(layout, url).routed() == ONE
