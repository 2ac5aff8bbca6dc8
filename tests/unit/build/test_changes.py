"""What is other in a release than in the one before it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.git import Repository, write

from segue.build.changes import LONGEST_COMMIT, MOST_COMMITS, commits_since, packages_changed, recent_commits
from segue.build.source import Source, resolve_source


def installed(release: Path, *names: str) -> Path:
    for name in names:
        (release / ".venv/lib/python3.11/site-packages" / f"{name}.dist-info").mkdir(parents=True)
    return release


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository.create(tmp_path / "shop")
    write(repository.folder, "app.py")
    repository.commit()
    return repository


def test_the_commits_since_a_revision(repository: Repository) -> None:
    before = repository.git("rev-parse", "HEAD")[:7]
    hostile = "</script> \x1b[31m" + "x" * 500
    repository.git("commit", "--allow-empty", "--message", hostile)
    log = recent_commits(resolve_source(repository.folder, None))
    (since,) = commits_since(log, before) or []
    assert since.startswith(repository.git("rev-parse", "HEAD")[:7] + " </script>")
    assert all(len(line) <= LONGEST_COMMIT and line.isprintable() for line in log)
    assert commits_since(log, log[0][:7]) == []
    assert commits_since(log, "0000000") is None
    assert commits_since(log, None) is None
    # of a revision that is named, too
    assert recent_commits(resolve_source(repository.folder, "HEAD~1")) == log[1:]


def test_only_so_many_are_looked_at(repository: Repository) -> None:
    for _ in range(MOST_COMMITS + 1):
        repository.git("commit", "--allow-empty", "--message", "more")
    assert len(recent_commits(resolve_source(repository.folder, None))) == MOST_COMMITS


def test_without_git_there_are_none(tmp_path: Path) -> None:
    assert recent_commits(Source(tmp_path)) == ()
    assert recent_commits(Source(tmp_path, git=True)) == ()


def test_packages_by_what_an_installer_leaves(tmp_path: Path) -> None:
    before = installed(tmp_path / "1", "flask-3.1.0", "httpx-0.28.1", "click-8.1.7")
    after = installed(tmp_path / "2", "flask-3.1.2", "click-8.1.7", "ruamel.yaml-0.18")
    assert packages_changed(after, before) == {
        "added": ["ruamel.yaml 0.18"],
        "removed": ["httpx 0.28.1"],
        "changed": ["flask 3.1.0 → 3.1.2"],
    }
    assert packages_changed(after, None) == packages_changed(tmp_path / "3", before) == {}
