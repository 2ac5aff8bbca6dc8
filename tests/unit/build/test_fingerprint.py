"""A fingerprint changes exactly when a snapshot would take something else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.git import Repository, write

from segue.build.fingerprint import Fingerprint, Fingerprints


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path, "wsgi.py", "package/one.py", ".env")
    return tmp_path


def change(project: Path, act: Callable[[], object], *shared: str) -> tuple[Fingerprint, Fingerprint]:
    """The fingerprints before `act` and after it."""
    fingerprints = Fingerprints(project)
    before = fingerprints.take(shared)
    act()
    return before, fingerprints.take(shared)


@pytest.mark.parametrize("name", ["wsgi.py", "package/one.py", "package/two.py", "new/one.py", "segue.toml"])
def test_another_content_or_file_is_another_fingerprint(project: Path, name: str) -> None:
    before, after = change(project, lambda: write(project, name, content="other\n"))
    assert before.files != after.files
    assert before.environment == after.environment


def test_what_is_gone_or_executable_is_another_fingerprint(project: Path) -> None:
    for act in (lambda: (project / "wsgi.py").chmod(0o755), (project / "wsgi.py").unlink):
        before, after = change(project, act)
        assert before.files != after.files


def test_a_save_without_a_change_is_the_same(project: Path) -> None:
    def touch() -> None:
        write(project, "wsgi.py")
        os.utime(project / "package" / "one.py", (1, 1))

    before, after = change(project, touch)
    assert before == after


@pytest.mark.parametrize(
    "name",
    [
        ".wsgi.py.swp",
        "wsgi.py~",
        "#wsgi.py#",
        "4913",
        "instance/data",
        "data/rows",
        ".segue/record.json",
        "package/__pycache__/one.pyc",
    ],
)
def test_what_is_in_no_release_does_not_count(project: Path, name: str) -> None:
    before, after = change(project, lambda: write(project, name), "data")
    assert before.files == after.files


def test_what_git_ignores_does_not_count(project: Path) -> None:
    write(project, ".gitignore", content="*.log\n")
    Repository.create(project).commit()
    before, after = change(project, lambda: write(project, "a.log"))
    assert before == after


def test_the_environment_counts_apart(project: Path) -> None:
    before, after = change(project, lambda: write(project, ".env", content="KEY=value\n"))
    assert before.files == after.files
    assert before.environment != after.environment


def test_only_folders_of_what_counts_are_watched(project: Path) -> None:
    write(project, "venv/pyvenv.cfg", "venv/lib/site.py", ".segue/releases/one.py")
    assert Fingerprints(project).take(()).folders == {project, project / "package"}
