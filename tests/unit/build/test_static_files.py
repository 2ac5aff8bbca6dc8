"""Static files of several releases on disk: whose is what, and what goes with whom."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.build.static_files import MANIFEST, Statics, compare, differing, exchange, publish, told_by

ONE, TWO, THREE = (f"2026112{day}T013455-8c1f2e9" for day in (1, 2, 3))
NAMES = st.frozensets(st.sampled_from([f"{letter}.css" for letter in "abcdef"]))


def make(folder: Path, release: str, **files: str) -> Path:
    """A release with `files` in static, dots for underscores."""
    made = folder / release
    (made / "static").mkdir(parents=True)
    for name, text in files.items():
        path = made / "static" / name.replace("_", ".").replace("..", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return made


def content(release: Path) -> dict[str, str]:
    place = release / "static"
    files = (path for path in place.rglob("*") if path.is_file())
    return {str(path.relative_to(place)): path.read_text() for path in files}


@given(NAMES, NAMES, NAMES, NAMES)
def test_what_is_added_is_free_and_what_is_removed_is_nobodys(
    own: frozenset[str], others: frozenset[str], kept: frozenset[str], there: frozenset[str]
) -> None:
    one, other = Statics(Path("a"), "static", own, kept - own), Statics(Path("b"), "static", others)
    todo = differing(one, [other], there | own)
    assert not todo.add & (there | own)
    assert not todo.remove & (own | others)
    assert todo.remove <= one.kept
    # whatever another has is there in the end
    assert others <= there | own | todo.add


def test_each_release_has_its_own_and_beside_them_the_others(tmp_path: Path) -> None:
    one = make(tmp_path, ONE, a_css="1", plain_css="one")
    two = make(tmp_path, TWO, b_css="2", plain_css="two", deep__c_css="c")
    publish(one, "static")
    made = publish(two, "static")
    assert content(one) == {"a.css": "1", "plain.css": "one", "b.css": "2", "deep/c.css": "c"}
    assert content(two) == {"a.css": "1", "plain.css": "two", "b.css": "2", "deep/c.css": "c"}
    assert sorted(made.own) == ["b.css", "deep/c.css", "plain.css"]
    assert sorted(made.kept) == ["a.css"]
    assert (one / "static/b.css").samefile(two / "static/b.css")
    before = (one / MANIFEST).stat().st_ino
    assert exchange(tmp_path) == 0
    assert (one / MANIFEST).stat().st_ino == before


def test_a_file_goes_with_the_last_release_that_had_it(tmp_path: Path) -> None:
    one = make(tmp_path, ONE, a_css="1", both_css="1", deep__x_css="x")
    two = make(tmp_path, TWO, b_css="2", both_css="2")
    three = make(tmp_path, THREE, c_css="3")
    for release in (one, two, three):
        publish(release, "static")
    shutil.rmtree(one)
    # a.css and deep/x.css, in two folders
    assert exchange(tmp_path) == 4
    assert content(two) == {"b.css": "2", "both.css": "2", "c.css": "3"}
    assert content(three).keys() == {"b.css", "both.css", "c.css"}
    assert not (three / "static/deep").exists()
    assert exchange(tmp_path) == 0


def test_what_the_app_made_itself_stays(tmp_path: Path) -> None:
    one, two = make(tmp_path, ONE, a_css="1"), make(tmp_path, TWO)
    publish(one, "static")
    (two / "static/generated.css").write_text("mine")
    publish(one, "static")
    (one / "static/made.css").write_text("mine")
    publish(two, "static")
    shutil.rmtree(two)
    exchange(tmp_path)
    assert content(one) == {"a.css": "1", "made.css": "mine"}


def test_a_death_between_the_word_and_the_deed_is_made_good(tmp_path: Path) -> None:
    one, two = make(tmp_path, ONE, a_css="1"), make(tmp_path, TWO, b_css="2")
    publish(one, "static")
    Statics(two, "static", frozenset({"b.css"}), frozenset({"a.css"})).write()
    exchange(tmp_path)
    assert content(one) == content(two) == {"a.css": "1", "b.css": "2"}
    shutil.rmtree(one)
    exchange(tmp_path)
    assert content(two) == {"b.css": "2"}


def test_what_is_hidden_or_elsewhere_is_not_published(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "key").write_text("private")
    one, two = make(tmp_path / "r", ONE, a_css="1"), make(tmp_path / "r", TWO, uploads__x_css="x")
    (one / "static/.env").write_text("hidden")
    (one / "static/.git").mkdir()
    (one / "static/.git/config").write_text("hidden")
    (one / "static/key").symlink_to(private / "key")
    (one / "static/inner").symlink_to("a.css")
    (one / "static/uploads").symlink_to(private)
    assert publish(one, "static").own == {"a.css", "inner"}
    publish(two, "static")
    # nothing is put behind a link: there are people's uploads
    assert os.listdir(private) == ["key"]
    assert content(two) == {"a.css": "1", "inner": "1", "uploads/x.css": "x"}
    assert not (two / "static/inner").is_symlink()


def test_a_file_where_another_has_a_folder_is_left_alone(tmp_path: Path) -> None:
    one, two = make(tmp_path, ONE, x="file"), make(tmp_path, TWO, x__y_css="y")
    publish(one, "static")
    publish(two, "static")
    assert content(one) == {"x": "file"}
    assert content(two) == {"x/y.css": "y"}


def test_one_from_before_it_was_asked_for_takes_part(tmp_path: Path) -> None:
    one, two = make(tmp_path, ONE, a_css="1"), make(tmp_path, TWO, b_css="2")
    publish(two, "static")
    assert content(one) == content(two) == {"a.css": "1", "b.css": "2"}


def test_where_there_are_no_hard_links_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    one, two = make(tmp_path, ONE, a_css="1"), make(tmp_path, TWO)
    monkeypatch.setattr(os, "link", link)
    publish(one, "static")
    publish(two, "static")
    assert content(two) == {"a.css": "1"}
    assert not (one / "static/a.css").samefile(two / "static/a.css")


def test_browsers_are_told_what_has_changed(tmp_path: Path) -> None:
    one = make(tmp_path, ONE, same_css="1", other_css="1", app_0123456789ab_css="1")
    two = make(tmp_path, TWO, same_css="1", other_css="2", app_0123456789ab_css="2")
    for path in [*one.rglob("*.css"), *two.rglob("*.css")]:
        os.utime(path, (315532800, 315532800))
    before, made = publish(one, "static"), publish(two, "static")
    assert compare(made, before) == ["app.0123456789ab.css"]
    assert (two / "static/same.css").stat().st_mtime == 315532800
    assert (two / "static/other.css").stat().st_mtime > 315532800
    told = told_by(made)
    assert told == {"files": 3, "fingerprinted": 1, "kept": 0, "sample": "app.0123456789ab.css"}
