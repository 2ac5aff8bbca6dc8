"""What changed since a master began is told by its files; what only changed hands is not taken for it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from segue.reload.judge import changed_since, link_moved
from segue.reload.master import Command
from segue.reload.release import Flip
from segue.reload.shadow import Way

OLD = 1_000_000_000


def old_file(folder: Path, name: str = "wsgi.py") -> Path:
    file = folder / name
    file.write_text("x = 1\n")
    os.utime(file, (OLD, OLD))
    os.utime(folder, (OLD, OLD))
    return file


def test_a_file_that_was_written_has_changed(tmp_path: Path) -> None:
    began = time.time() - 60
    file = old_file(tmp_path)
    assert not changed_since(file, began)
    file.write_text("x = 2\n")
    assert changed_since(file, began)


def test_a_change_of_its_mode_is_none(tmp_path: Path) -> None:
    file = old_file(tmp_path)
    file.chmod(0o600)
    assert not changed_since(file, time.time() - 60)


def test_a_file_that_was_put_in_its_place_has_changed_whatever_its_time_says(tmp_path: Path) -> None:
    file = old_file(tmp_path)
    other = tmp_path / "new"
    other.write_text("x = 3\n")
    os.utime(other, (OLD, OLD))
    other.rename(file)
    assert changed_since(file, time.time() - 60)


def test_a_file_that_is_gone_has_changed(tmp_path: Path) -> None:
    assert changed_since(tmp_path / "gone.py", time.time())


def test_a_link_in_a_path_that_was_made_anew_has_moved(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    link = tmp_path / "current"
    link.symlink_to("v1")
    assert link_moved(str(link / "venv/bin/python"), time.time() - 60)
    assert not link_moved(str(link / "venv/bin/python"), time.time() + 60)
    assert not link_moved(str(tmp_path / "v1/venv"), time.time() - 60)


def test_a_flip_is_one_rename_there_and_back(tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to("v1")
    flip = Flip(link, "v1", tmp_path / "v2")
    flip.forth()
    assert link.readlink() == tmp_path / "v2"
    flip.back()
    assert str(link.readlink()) == "v1"
    assert [each.name for each in tmp_path.iterdir()] == ["current"]


def test_what_names_the_link_names_the_release_before_it_is_led_there(tmp_path: Path) -> None:
    link, release = Path("/srv/shop/current"), Path("/srv/shop/releases/v2")
    way = Way(
        command=Command(
            ("/srv/venv/bin/python",), "/srv/venv/bin", ("--chdir", str(link), f"--config={link}/g.py")
        ),
        environ={"PYTHONPATH": f"/lib:{link}/src", "OTHER": "/srv/shop/current-affairs"},
        folder="/srv/shop/releases/v1",
        cwd="/srv/shop/releases/v1",
        confinement=(),
        uid=0,
        gid=0,
    )
    turned = Flip(link, "releases/v1", release).rebased(way)
    assert turned.command.arguments == ("--chdir", str(release), f"--config={release}/g.py")
    assert turned.environ == {"PYTHONPATH": f"/lib:{release}/src", "OTHER": "/srv/shop/current-affairs"}
    assert turned.cwd == way.cwd
