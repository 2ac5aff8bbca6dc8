"""Archives, remote repositories and data, through real deploys under traffic."""

from __future__ import annotations

import json
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import faults
from tests.support.apps import make_app
from tests.support.bad import demand_untouched, deploy_refused, state_of
from tests.support.deaths import fetch
from tests.support.git import Repository
from tests.support.site import Site, configure, demand_no_loss, serving, traffic

from segue.core.secrets import HIDDEN

LARGE = 40 << 20


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A project without git, v1, whose keeper has a cache of its own."""
    base = tmp_path_factory.mktemp("sources")
    make_app(base / "project", version="v1")
    configure(base / "project")
    with serving(base / "project") as site:
        yield site


def env_of(site: Site) -> dict[str, str]:
    return {**os.environ, "XDG_CACHE_HOME": str(site.folder.parent / "cache")}


def test_an_archive_is_deployed_and_takes_what_is_shared_from_the_project(site: Site) -> None:
    packed = site.folder.parent / "packed"
    make_app(packed, version="packed")
    (packed / "instance" / "evil.db").touch()
    archive = site.folder.parent / "shop.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(packed, arcname="shop-1.0")
    with traffic(f"{site.url}/") as load:
        receipt = site.deploy("--path", str(archive))
    demand_no_loss(load)
    assert fetch(f"{site.url}/") == "packed"
    release = site.home.release(receipt["release"])
    assert (release / "instance").readlink() == site.folder / "instance"
    assert not (site.folder / "instance" / "evil.db").exists()


def test_an_archive_with_a_member_outside_is_refused(site: Site) -> None:
    archive = site.folder.parent / "evil.tar"
    with tarfile.open(archive, "w") as opened:
        opened.add(site.folder / "wsgi.py", arcname="wsgi.py")
        opened.add(site.folder / "wsgi.py", arcname="../../evil.py")
    refused = deploy_refused(site, "--path", str(archive))
    assert refused.error["kind"] == "archive"
    assert refused.error["evidence"] == "'../../evil.py': outside of the project"
    assert state_of(site, refused.receipt) == "failed"
    assert not site.home.release(refused.receipt["release"]).exists()
    assert not list(site.folder.rglob("evil.py"))


def test_a_remote_repository_is_deployed_by_its_url_and_its_commit_is_kept(site: Site) -> None:
    folder = site.folder.parent / "remote"
    make_app(folder, version="remote")
    repository = Repository(folder)
    repository.git("init", "--quiet")
    commit = repository.commit()
    repository.git("tag", "v2")
    words = ("deploy", "--json", "--path", f"file://{folder}", "--rev", "v2")
    with traffic(f"{site.url}/") as load:
        outcome = site.segue(*words, env=env_of(site))
    demand_no_loss(load)
    assert outcome.code == 0, outcome
    assert fetch(f"{site.url}/") == "remote"
    assert site.home.release(outcome.document["release"]).name.endswith(commit[:7])
    facts = json.loads(site.home.release_state(outcome.document["release"]).read_text())
    assert facts["commit"] == commit
    assert "commits" not in outcome.document["changes"]
    later = repository.commit("sell tea at https://me:hunter22@shop.example/")
    again = site.segue(*words[:-1], later, env=env_of(site))
    told = f"{later[:7]} sell tea at https://me:{HIDDEN}@shop.example/"
    assert (again.code, again.document["changes"]["commits"]) == (0, [told]), again


@pytest.mark.parametrize(
    ("url", "code", "kind"),
    [
        ("https://me:hunter22@shop.example/a.git", 2, "url"),
        ("ext::sh -c true://", 2, "url"),
        ("file:///nonexistent/shop.git", 4, "git"),
    ],
)
def test_a_url_that_is_no_good_touches_nothing(site: Site, url: str, code: int, kind: str) -> None:
    error = demand_untouched(site.folder, code, "deploy", "--path", url, env=env_of(site))
    assert error["kind"] == kind
    assert "hunter22" not in str(error)


def test_a_database_that_would_be_copied_is_refused_with_the_line_to_add(site: Site) -> None:
    make_app(site.folder, version="v2")
    with sqlite3.connect(site.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    connection.close()
    refused = deploy_refused(site)
    assert refused.error["kind"] == "data"
    line = 'shared = ["shop.db"]'
    assert line in refused.error["hint"]
    configure(site.folder, shared=["shop.db"])
    release = site.home.release(site.deploy()["release"])
    assert (release / "shop.db").readlink() == site.folder / "shop.db"


def test_a_disk_that_fills_up_in_mid_build_leaves_nothing_and_is_told(tmp_path: Path) -> None:
    with faults.small_disk(tmp_path / "disk") as disk:
        make_app(disk / "project", version="v1")
        configure(disk / "project")
        with serving(disk / "project") as site:
            (site.folder / "large.bin").write_bytes(bytes(LARGE // 2))
            (site.folder / "larger.bin").write_bytes(bytes(LARGE // 3))
            refused = deploy_refused(site)
            assert refused.error["kind"] in {"snapshot", "build"}
            assert "No space left on device" in f"{refused.error['message']}{refused.error['evidence']}"
            assert state_of(site, refused.receipt) == "failed"
            assert not site.home.release(refused.receipt["release"]).exists()
            for name in ("large.bin", "larger.bin"):
                (site.folder / name).unlink()
            site.deploy()


@pytest.mark.soak
def test_a_disk_that_fills_up_with_packages_leaves_nothing_and_is_told(tmp_path: Path) -> None:
    with faults.small_disk(tmp_path / "disk") as disk:
        make_app(disk / "project", version="v1")
        configure(disk / "project")
        with serving(disk / "project") as site:
            # room enough to begin, and too little for Django
            (disk / "filler").write_bytes(bytes(LARGE - (6 << 20)))
            (site.folder / "requirements.txt").write_text("django==5.2.8\n")
            refused = deploy_refused(site)
            assert refused.error["kind"] == "build"
            assert "No space left on device" in refused.error["evidence"]
            assert not site.home.release(refused.receipt["release"]).exists()
