"""Where a release's code comes from, and how it is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.git import Repository, write

from segue.build.source import resolve_source
from segue.core.errors import Refused, UsageError
from segue.core.ids import is_release_id


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository.create(tmp_path / "shop")
    write(repository.folder, "app.py")
    repository.commit()
    return repository


@pytest.mark.parametrize("revision", ["v1", "main", "HEAD", "feature/cart"])
def test_a_revision_is_named_by_tag_branch_or_head(repository: Repository, revision: str) -> None:
    commit = repository.git("rev-parse", "HEAD")
    repository.git("tag", "--annotate", "v1", "--message", "one")
    repository.git("branch", "feature/cart")
    source = resolve_source(repository.folder, revision)
    assert (source.commit, source.revision) == (commit, commit[:7])
    assert source.describe() == f"commit {commit[:7]} of {repository.folder}"


def test_a_short_commit_is_enough(repository: Repository) -> None:
    commit = repository.git("rev-parse", "HEAD")
    assert resolve_source(repository.folder, commit[:8]).commit == commit


@pytest.mark.parametrize(
    "revision",
    ["v9", "", "--help", "--all", "-h", "--exec=true", "HEAD:app.py", "HEAD~7", "a b", "*", "@{9}"],
)
def test_an_unknown_revision_is_an_error_and_never_an_option(repository: Repository, revision: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve_source(repository.folder, revision)
    assert error.value.kind == "revision"
    assert repr(revision) in error.value.message


def test_a_tree_is_named_by_its_commit_and_is_dirty_once_it_differs(repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")[:7]
    clean = resolve_source(repository.folder, None)
    assert (clean.commit, clean.revision, clean.dirty, clean.git) == (None, head, False, True)
    assert clean.describe().endswith(f"(as in {head})")
    write(repository.folder, "new.py")
    dirty = resolve_source(repository.folder, None)
    assert dirty.dirty
    assert dirty.describe().endswith(f"(changed since {head})")


def test_changes_elsewhere_in_the_repository_do_not_make_a_sub_folder_dirty(repository: Repository) -> None:
    write(repository.folder, "site/app.py")
    repository.commit()
    write(repository.folder, "other.py")
    assert not resolve_source(repository.folder / "site", None).dirty


def test_a_repository_without_a_commit_is_a_tree(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path)
    write(tmp_path, "app.py")
    source = resolve_source(repository.folder, None)
    assert (source.revision, source.git, source.dirty) == ("tree", True, True)


def test_a_folder_without_git_is_a_tree(tmp_path: Path) -> None:
    source = resolve_source(tmp_path, None)
    assert (source.revision, source.git) == ("tree", False)
    assert is_release_id(f"20261121T013455-{source.revision}")
    with pytest.raises(UsageError) as error:
        resolve_source(tmp_path, "v1")
    assert "not a git repository" in error.value.evidence


def test_a_project_that_its_outer_repository_ignores_is_a_tree(repository: Repository) -> None:
    write(repository.folder, "sandbox/app.py")
    write(repository.folder, ".gitignore", content="/sandbox/\n")
    repository.commit()
    assert not resolve_source(repository.folder / "sandbox", None).git


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        resolve_source(tmp_path / "missing", None)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_repository_that_git_does_not_trust_is_refused(repository: Repository) -> None:
    for path in (repository.folder, repository.folder / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(Refused, match="does not trust") as refused:
        resolve_source(repository.folder, None)
    assert "dubious ownership" in refused.value.evidence
