"""What a release is made of: secrets and data are linked, never copied, and nothing leads out of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.bad import demand_untouched, deploy_refused, state_of
from tests.support.site import Site, configure, serving

SECRET = "DATABASE_PASSWORD=hunter2"


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    subprocess.run(("git", *identity, *words), cwd=folder, check=True, capture_output=True)


def commit(folder: Path, tag: str) -> None:
    git(folder, "add", "--all", "--force", ".", ":!.segue")
    git(folder, "commit", "--quiet", "--message", tag)
    git(folder, "tag", tag)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A project in git that tracks what it should not."""
    folder = tmp_path_factory.mktemp("sources") / "project"
    make_app(folder, version="v1")
    configure(folder)
    (folder / ".env").write_text(SECRET)
    (folder / "instance" / "orders.log").write_text("1\n")
    git(folder, "init", "--quiet")
    commit(folder, "v1")
    with serving(folder) as site:
        yield site


@pytest.mark.parametrize("words", [(), ("--rev", "v1")], ids=["tree", "revision"])
def test_tracked_secrets_and_data_are_linked_never_copied(site: Site, words: tuple[str, ...]) -> None:
    release = site.home.release(site.deploy(*words)["release"])
    for name in (".env", "instance"):
        assert (release / name).readlink() == site.folder / name
    copies = [path for path in release.rglob("*") if path.is_file() and not path.is_symlink()]
    assert copies
    assert not [path for path in copies if SECRET in path.read_text(errors="replace")]
    assert not list(release.glob(".git*"))


def test_a_link_that_leads_out_of_a_revision_is_refused(site: Site) -> None:
    (site.folder / "passwords").symlink_to("../../etc/passwd")
    commit(site.folder, "v2")
    (site.folder / "passwords").unlink()
    refused = deploy_refused(site, "--rev", "v2")
    assert refused.error["kind"] == "link"
    assert refused.error["message"] == "passwords is a link that leads out of the project."
    assert "-> ../../etc/passwd" in refused.error["evidence"]
    assert state_of(site, refused.receipt) == "failed"
    assert not site.home.release(refused.receipt["release"]).exists()
    error = demand_untouched(site.folder, 3, "rollback", "--to", refused.receipt["release"])
    assert error["kind"] == "unfit"
    assert f"{refused.receipt['release']}  failed" in error["evidence"]


@pytest.mark.parametrize("revision", ["v9", "HEAD~99", "--help", "v1:wsgi.py", ""])
def test_an_unknown_revision_touches_nothing(site: Site, revision: str) -> None:
    error = demand_untouched(site.folder, 2, "deploy", "--rev", revision)
    assert error["kind"] == "revision"
    assert error["message"] == f"There is no revision {revision!r} in {site.folder}."
    assert "git log" in error["hint"]
