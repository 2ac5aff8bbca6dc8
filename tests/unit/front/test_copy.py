"""The copy of a config: what includes its own files is turned to the copy, all else stays where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from segue.front.copy import copy_config

CONF = """\
include {includes}/a.conf;
include "{includes}/sites-enabled/*";
include mime.types;
root {root}/www;
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "nginx"
    for name in ("sites-available", "sites-enabled", "ssl"):
        (folder / name).mkdir(parents=True)
    (folder / "nginx.conf").write_text(CONF.format(includes=folder, root=folder))
    (folder / "ssl/key.pem").write_text("a key")
    (folder / "sites-available/other").write_text("other")
    (folder / "sites-enabled/other").symlink_to("../sites-available/other")
    return folder


def test_copies_what_includes_and_links_the_rest(config: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_config(config, copy, {config / "sites-enabled/shop": "new"})
    assert (copy / "nginx.conf").read_text() == (CONF.format(includes=copy, root=config))
    assert (copy / "ssl/key.pem").readlink() == config / "ssl/key.pem"
    assert (copy / "sites-enabled/other").read_text() == "other"
    assert (copy / "sites-enabled/shop").read_text() == "new"
    assert not (config / "sites-enabled/shop").exists()


def test_what_is_to_be_gone_is_gone(config: Path, tmp_path: Path) -> None:
    copy_config(config, tmp_path / "copy", {config / "sites-enabled/other": None})
    assert not (tmp_path / "copy/sites-enabled/other").exists()
    assert (config / "sites-enabled/other").exists()


def test_never_writes_through_a_link(config: Path, tmp_path: Path) -> None:
    (config / "sites-enabled/other").unlink()
    (config / "sites-enabled").rmdir()
    (config / "sites-enabled").symlink_to("sites-available")
    copy_config(config, tmp_path / "copy", {config / "sites-enabled/shop": "new"})
    assert (tmp_path / "copy/sites-enabled/shop").read_text() == "new"
    assert not (config / "sites-available/shop").exists()


def test_a_link_that_leads_nowhere_is_copied_as_one(config: Path, tmp_path: Path) -> None:
    (config / "gone").symlink_to("nowhere")
    copy_config(config, tmp_path / "copy", {})
    assert (tmp_path / "copy/gone").is_symlink()
