"""Submodules belong to a release; other repositories that lie in a project are told of."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.support.git import Repository, write

from segue.build import mirror
from segue.build.snapshot import snapshot
from segue.build.source import resolve_source
from segue.core.errors import Failed, Unreachable, UsageError

ALLOWED = ("-c", "protocol.file.allow=always")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A shop, with a library as its submodule, which has one itself."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    libraries = [Repository.create(tmp_path / name) for name in ("deepest", "library", "shop")]
    for library, inner in zip(libraries, (None, *libraries), strict=False):
        write(library.folder, f"{library.folder.name}.py", content="one\n")
        if inner is not None:
            library.git(*ALLOWED, "submodule", "--quiet", "add", f"../{inner.folder.name}", "lib")
        library.commit()
    shop = libraries[-1]
    shop.git(*ALLOWED, "submodule", "--quiet", "update", "--init", "--recursive")
    return shop


def take(folder: Path, rev: str | None = None) -> tuple[set[str], list[str]]:
    """The files of a release, and what was said of it."""
    release, said = folder.parent / "release", list[str]()
    snapshot(resolve_source(folder, rev), folder.parent / "data", release, (), said.append)
    return {str(path.relative_to(release)) for path in release.rglob("*.py")}, said


WHOLE = {"shop.py", "lib/library.py", "lib/lib/deepest.py"}


@pytest.mark.parametrize("rev", [None, "HEAD"])
def test_submodules_are_taken(repository: Repository, rev: str | None) -> None:
    assert take(repository.folder, rev) == (WHOLE, [])


def test_what_is_new_and_changed_in_a_submodule_is_taken_with_a_tree(repository: Repository) -> None:
    write(repository.folder / "lib", "new.py", "__pycache__/x.py")
    assert take(repository.folder)[0] == WHOLE | {"lib/new.py"}


@pytest.mark.parametrize("rev", [None, "HEAD"])
def test_a_submodule_that_is_not_checked_out_is_refused(repository: Repository, rev: str | None) -> None:
    repository.git("submodule", "--quiet", "deinit", "--force", "lib")
    with pytest.raises(Failed, match="submodule lib is not") as failed:
        take(repository.folder, rev)
    assert "git submodule update --init" in failed.value.hint


def test_a_repository_that_is_not_tracked_is_told_of(repository: Repository) -> None:
    nested = Repository.create(repository.folder / "vendored")
    write(nested.folder, "code.py")
    nested.commit()
    names, (said,) = take(repository.folder)
    assert names == WHOLE
    assert said.startswith("vendored is a git repository of its own")


# from a remote


def test_a_remote_repository_is_mirrored_with_its_submodules(repository: Repository) -> None:
    url = f"file://{repository.folder}"
    folder, name = mirror.fetch(url, None)
    source = resolve_source(folder, name)
    assert source.commit == repository.git("rev-parse", "HEAD")
    assert source.describe() == f"commit {source.revision} of {url}"
    assert take(folder, name)[0] == WHOLE


def test_a_mirror_follows_its_remote(repository: Repository) -> None:
    url = f"file://{repository.folder}"
    mirror.fetch(url, None)
    repository.git("tag", "v1")
    write(repository.folder, "later.py")
    commit = repository.commit()
    folder, name = mirror.fetch(url, None)
    assert resolve_source(folder, name).commit == commit
    assert resolve_source(folder, "v1").commit != commit
    with pytest.raises(UsageError, match=r"no revision 'v9' in file://"):
        resolve_source(*mirror.fetch(url, "v9"))


def test_a_remote_is_reached_by_ssh(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something in the place of ssh runs here what it would run there."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\necho "$1" > "$0.host"; shift; exec sh -c "$*"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    folder, name = mirror.fetch(f"ssh://git@web1{repository.folder}", "HEAD")
    assert (tmp_path / "ssh.host").read_text() == "git@web1\n"
    assert take(folder, name)[0] == WHOLE


@pytest.mark.parametrize(
    "url",
    ["https://user:hunter22@shop.example/a.git", "https://t0ken123@shop.example/a", "ssh://u:hunter22@a/b"],
)
def test_a_url_with_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="password or a token") as refused:
        mirror.fetch(url, None)
    told = f"{refused.value.message}{refused.value.evidence}{refused.value.hint}"
    assert "hunter22" not in told
    assert "t0ken123" not in told


@pytest.mark.parametrize("url", ["ext::sh -c date%20", "ext://sh", "http://shop.example/a", "://", "-u://a"])
def test_other_ways_to_fetch_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="That is no URL to fetch from"):
        mirror.fetch(url, None)


def test_what_can_not_be_fetched_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(Unreachable, match="can't be fetched") as failed:
        mirror.fetch(f"file://{tmp_path}/nothing.git", None)
    assert "nothing.git" in failed.value.evidence


def test_a_submodule_may_not_be_a_folder_of_this_machine_unless_its_parent_is(repository: Repository) -> None:
    folder, _ = mirror.fetch(f"file://{repository.folder}", None)
    commit = repository.git("rev-parse", "HEAD")
    assert mirror.submodule_urls(folder, "ssh://host/a/shop", commit) == {"lib": "ssh://host/a/library"}
    repository.git("config", "--file", ".gitmodules", "submodule.lib.url", f"file://{repository.folder}")
    commit = repository.commit()
    mirror.fetch(f"file://{repository.folder}", None)
    with pytest.raises(UsageError, match="is a folder of this machine"):
        mirror._fetch_submodules(folder, "ssh://host/a/shop", commit, 5)


def aged(path: Path, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_mirrors_that_nobody_fetched_for_long_are_removed(tmp_path: Path) -> None:
    for name, days in {"new": 0, "older": 29, "oldest": 31}.items():
        write(tmp_path, f"{name}.git/HEAD")
        aged(tmp_path / f"{name}.git", days)
    mirror.forget_unused(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"new.git", "older.git"}


@pytest.mark.parametrize(("days", "left"), [(0.5, 25), (2, 20)])
def test_of_many_mirrors_those_used_last_are_kept(tmp_path: Path, days: float, left: int) -> None:
    for number in range(25):
        write(tmp_path, f"{number}.git/HEAD")
        aged(tmp_path / f"{number}.git", days + number / 1000)
    mirror.forget_unused(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{number}.git" for number in range(left)}
