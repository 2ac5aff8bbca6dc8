"""Data in a working tree is never copied into a release: it is refused, with the line that shares it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.git import Repository, write

from segue.build.snapshot import snapshot
from segue.build.source import resolve_source
from segue.core.errors import Failed


def database(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    connection.close()


def take(project: Path, *shared: str, rev: str | None = None) -> Path:
    release = project / ".segue" / "one"
    snapshot(resolve_source(project, rev), project, release, shared, print)
    return release


def refused(project: Path, *shared: str, rev: str | None = None) -> Failed:
    with pytest.raises(Failed, match="would have a copy of") as failed:
        take(project, *shared, rev=rev)
    assert failed.value.kind == "data"
    assert failed.value.exit_code == 1
    return failed.value


@pytest.mark.parametrize("way", ["tree", "git", "commit"])
def test_a_database_is_refused_with_the_line_to_add(tmp_path: Path, way: str) -> None:
    write(tmp_path, "wsgi.py", "logo.png", content="x" * 1024)
    database(tmp_path / "data" / "shop.sqlite")
    if way != "tree":
        Repository.create(tmp_path).commit()
    rev = "HEAD" if way == "commit" else None
    error = refused(tmp_path, "pages", rev=rev)
    assert error.evidence == "data/shop.sqlite: a SQLite database"
    assert error.hint.endswith('shared = ["pages", "data/shop.sqlite"]')
    if way != "commit":
        assert not (tmp_path / ".segue").exists()


def test_the_line_to_add_is_enough(tmp_path: Path) -> None:
    write(tmp_path, "wsgi.py", "uploads/cat.png")
    database(tmp_path / "shop.db")
    error = refused(tmp_path)
    assert error.hint.endswith('shared = ["shop.db", "uploads"]')
    release = take(tmp_path, "shop.db", "uploads")
    assert (release / "shop.db").readlink() == tmp_path / "shop.db"
    assert (release / "uploads").readlink() == tmp_path / "uploads"


def test_a_database_among_uploads_is_named_once(tmp_path: Path) -> None:
    write(tmp_path, "wsgi.py")
    database(tmp_path / "uploads" / "shop.db")
    assert refused(tmp_path).evidence == "uploads: an upload folder, 1 files in it"


def test_a_database_that_git_ignores_is_no_part_of_it(tmp_path: Path) -> None:
    write(tmp_path, "wsgi.py")
    write(tmp_path, ".gitignore", content="*.db\n")
    database(tmp_path / "shop.db")
    Repository.create(tmp_path).commit()
    assert not (take(tmp_path) / "shop.db").exists()


@pytest.mark.parametrize("name", ["uploads", "static/uploads", "shop/static/uploads", "media"])
def test_files_that_git_does_not_track_make_an_upload_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path, "wsgi.py", f"{name}/.gitkeep", f"{name}/placeholder.png")
    Repository.create(tmp_path).commit()
    take(tmp_path).rename(tmp_path.parent / f"{tmp_path.name}-before")
    write(tmp_path, f"{name}/deep/cat.png")
    assert refused(tmp_path).evidence == f"{name}: an upload folder, 1 files that git does not track"
    assert (take(tmp_path, rev="HEAD") / name / "placeholder.png").exists()


@pytest.mark.parametrize("name", ["uploads.py", "static/media/logo.png", "uploads/.gitkeep", "shop/uploads"])
def test_what_only_looks_like_one_is_taken(tmp_path: Path, name: str) -> None:
    write(tmp_path, "wsgi.py", name)
    assert (take(tmp_path) / name).is_file()


def test_what_was_sent_was_judged_where_it_was_sent(tmp_path: Path) -> None:
    write(tmp_path, "wsgi.py", "static/uploads/logo.png")
    assert "static/uploads" in refused(tmp_path).evidence
    sent = replace(resolve_source(tmp_path, None), sent=True)
    release = tmp_path / ".segue" / "one"
    snapshot(sent, tmp_path, release, (), print)
    assert (release / "static" / "uploads" / "logo.png").exists()


def test_an_empty_database_and_one_that_is_linked_are_no_data(tmp_path: Path) -> None:
    write(tmp_path, "wsgi.py")
    (tmp_path / "empty.db").touch()
    database(tmp_path / "instance" / "shop.db")
    (tmp_path / "shop.db").symlink_to("instance/shop.db")
    assert (take(tmp_path) / "shop.db").is_symlink()
