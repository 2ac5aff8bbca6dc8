"""Static files as a real nginx serves them: for how long, whose, and while releases change."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.nginx import ONE, TWO, Front, front, needs_nginx
from tests.support.site import until
from tests.support.visitors import (
    Visits,
    asset_of,
    content_of,
    demand_content,
    get,
    page_files,
    visitors,
    write_page,
)

from segue.build.static_files import publish
from segue.core.fingerprints import is_fingerprinted
from segue.front.link import StaticLink

pytestmark = needs_nginx
HOST = "shop.example"
THREE = "20261121T013600-8c1f2e9.1"
BUILDER = "nobody"
FOREVER, ASK = "public, max-age=31536000, immutable", "no-cache"
NAMES = (
    "app.0123456789ab.css", "css/deep/app.0123456789ab.min.css.map", "main.8d2f1c3a.chunk.js",
    "index-BxT3kd9Q.js", "main-5EHPI6QS.js", "app.css", "theme-DarkBlue.css", "report-20261121.pdf",
    "Chart-Q3Report.svg", "jquery-3.7.1.min.js", "a b.txt", "ünï.txt", "100%.txt", "x;y=1.txt", "a+b.txt",
    "quote'\".txt", "0123456789ab", "app.0123456789AB.css", "percent%2fslash.txt",
)  # fmt: skip


@pytest.fixture
def site() -> Iterator[Front]:
    with front() as made:
        yield made


def release(site: Front, generation: str, version: str) -> Path:
    """A release that serves its page, published."""
    folder = site.root / "releases" / generation.rpartition(".")[0]
    folder.mkdir(parents=True)
    write_page(folder, version)
    server = ("gunicorn", "--no-control-socket", "--threads=8", "--bind=unix:{socket}", "wsgi:app")
    site.generation(generation, server, cwd=folder)
    return folder


def lead(site: Front, generation: str) -> None:
    """What a switch does."""
    StaticLink(site.link.folder).lead(site.root / "releases" / generation.rpartition(".")[0] / "static")
    site.link.route(generation)


def ask(site: Front, path: str) -> tuple[int, str, str]:
    """The status, the content and for how long it may be kept."""
    status, text, headers = get(site.url, path, HOST)
    return status, text, str(headers.get("Cache-Control"))


def test_it_is_kept_for_ever_by_its_fingerprint_and_asked_for_again_without(site: Front) -> None:
    folder = release(site, ONE, "v1") / "static"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    lead(site, ONE)
    site.nginx.put("segue-shop", site.site(static="/static/"))
    for name in NAMES:
        quoted = "".join(f"%{byte:02x}" if byte != ord("/") else "/" for byte in name.encode())
        expected = (200, name, FOREVER if is_fingerprinted(name) else ASK)
        assert ask(site, f"/static/{quoted}") == expected
    assert {is_fingerprinted(name) for name in NAMES} == {True, False}
    assert get(site.url, "/static/app.css", HOST)[2]["ETag"]


def test_what_is_not_there_is_the_apps_and_nothing_is_listed_or_left(site: Front) -> None:
    folder = release(site, ONE, "v1")
    (folder / "secret").write_text("secret")
    (folder / "staticx").mkdir()
    (folder / "static/.git").mkdir()
    for hidden in (".env", ".git/config"):
        (folder / "static" / hidden).write_text("secret")
    (folder / "staticx/secret").write_text("secret")
    site.nginx.put("segue-shop", site.site(static="/static/"))
    # before the first deploy with it there is no link, and the app serves its own
    site.link.route(ONE)
    assert ask(site, f"/static/{asset_of('v1')}")[:2] == (200, content_of("v1"))
    lead(site, ONE)
    paths = (
        "/static", "/static/", "/static/css", "/static/css/", "/static/nowhere.css", "/static../secret",
        "/static/../secret", "/static/..%2fsecret", "/static/%2e%2e/secret", "/staticx/secret",
        "/static/.env", "/static/.git/config",
        "/static//../../secret", "/static/css/..%5c..%5csecret", "/static/.%00./secret",
    )  # fmt: skip
    for path in paths:
        status, text, _ = ask(site, path)
        assert status in (400, 404), (path, status)
        assert "secret" not in text or "URL" in text, (path, text)
        assert "Index of" not in text


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to make files of others")
def test_a_link_to_what_is_not_the_builder_s_is_not_followed(site: Front) -> None:
    site.generation(ONE)  # it answers whatever it is asked, with JSON
    site.link.route(ONE)
    folder, private = site.root / "releases/static", site.root / "private"
    for made in (folder, private):
        made.mkdir(parents=True)
        (made / "key").write_text(f"in {made.name}")
    (folder / "linked").symlink_to(private / "key")
    (folder / "all").symlink_to(private)
    (folder / "own").symlink_to("key")
    planted = folder.with_name("planted")
    planted.symlink_to(private)
    for path in (planted, folder, *folder.rglob("*")):
        os.lchown(path, pwd.getpwnam(BUILDER).pw_uid, -1)
    site.nginx.put("segue-shop", site.site(static="/static/"))
    link = StaticLink(site.link.folder, BUILDER)
    link.lead(folder)
    assert ask(site, "/static/key")[1] == ask(site, "/static/own")[1] == "in static"
    for name in ("/static/linked", "/static/all/key"):
        assert ask(site, name)[1].startswith("{"), name
    # nor a folder that the builder put where the release's should be
    link.lead(planted)
    assert ask(site, "/static/key")[1].startswith("{")
    # the counterpart: a link that is root's leads anywhere
    StaticLink(site.link.folder).lead(folder)
    StaticLink(site.link.folder, "root").lead(planted)
    assert ask(site, "/static/key")[1] == "in private"


def through_releases(site: Front, *, keeping: bool) -> Visits:
    """People on the site while three releases come and one goes back."""
    first = release(site, ONE, "v1")
    publish(first, "static")
    lead(site, ONE)
    site.nginx.put("segue-shop", site.site(static="/static/"))
    with visitors(site.url, HOST) as visits:
        for generation, version in ((TWO, "v2"), (THREE, "v3"), (TWO, "v2"), (ONE, "v1")):
            if generation not in site.servers:
                folder = release(site, generation, version)
                if keeping:
                    publish(folder, "static")
            lead(site, generation)
            _until_seen(visits, version)
    return visits


def _until_seen(visits: Visits, version: str) -> None:
    enough = visits.asked + 20
    until(lambda: version in visits.pages and visits.asked > enough, what="people on the new release")


def test_old_pages_find_their_files_through_switches_and_back(site: Front) -> None:
    visits = through_releases(site, keeping=True)
    demand_content(visits)
    assert visits.pages.keys() == {"v1", "v2", "v3"}
    assert get(site.url, "/static/plain.css", HOST)[1] == page_files("v1")["static/plain.css"]


def test_without_the_files_of_other_releases_they_do_not(site: Front) -> None:
    visits = through_releases(site, keeping=False)
    assert any(f"{asset_of('v1')} of v1 answered 404" in line for line in visits.trouble)
