"""The keys that a source's ``.env.example`` names, wherever the source lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.git import Repository, write

from segue.build.example import EXAMPLE, example_of
from segue.build.mirror import fetch
from segue.build.source import Source, resolve_source

TEXT = "# the shop's\nSECRET_KEY=change-me\nexport DEBUG='1' # yes\nPLAIN\n# OFF=1\nA-B=1\nURL=${HOME}/x\n"
KEYS = {"SECRET_KEY": "change-me", "DEBUG": "1", "PLAIN": "", "URL": "${HOME}/x"}


def test_a_folders_example_is_read_and_none_is_needed(tmp_path: Path) -> None:
    assert example_of(Source(tmp_path)) == {}
    write(tmp_path, EXAMPLE, content=TEXT)
    assert example_of(Source(tmp_path)) == KEYS


@pytest.mark.parametrize("folder", [".", "web"])
def test_a_revisions_example_is_that_revisions(tmp_path: Path, folder: str) -> None:
    repository = Repository.create(tmp_path)
    write(repository.folder / folder, "wsgi.py")
    without = repository.commit()
    write(repository.folder / folder, EXAMPLE, content=TEXT)
    repository.commit()
    write(repository.folder / folder, EXAMPLE, content="OTHER=1\n")
    project = repository.folder / folder
    assert example_of(resolve_source(project, "HEAD")) == KEYS
    assert example_of(resolve_source(project, without)) == {}
    assert example_of(resolve_source(project, None)) == {"OTHER": "1"}


def test_a_remote_repositorys_example_is_read_in_its_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    repository = Repository.create(tmp_path / "there")
    write(repository.folder, EXAMPLE, content=TEXT)
    repository.commit()
    assert example_of(resolve_source(*fetch(f"file://{repository.folder}", None))) == KEYS


def test_an_example_that_is_no_text_or_no_file_says_what_it_can(tmp_path: Path) -> None:
    (tmp_path / EXAMPLE).write_bytes(b"A=\xff\nB=1\n")
    assert example_of(Source(tmp_path)).keys() == {"A", "B"}
    (tmp_path / EXAMPLE).unlink()
    (tmp_path / EXAMPLE).mkdir()
    assert example_of(Source(tmp_path)) == {}
