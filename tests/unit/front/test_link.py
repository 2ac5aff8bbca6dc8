"""The link says whom it leads to only where somebody is there, and is never half replaced."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from segue.front.link import Link, StaticLink

ONE, TWO = "20261121T013455-8c1f2e9.1", "20261121T013500-8c1f2e9.1"


@contextlib.contextmanager
def listening(at: Path) -> Iterator[socket.socket]:
    at.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(at))
        listener.listen()
        yield listener


@pytest.fixture
def link() -> Iterator[Link]:
    # a short path, for there are sockets in it
    with tempfile.TemporaryDirectory(prefix="sg", dir="/tmp") as folder:
        (Path(folder) / "front").mkdir()
        yield Link(Path(folder) / "front")


def sockets(link: Link) -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    for generation in (ONE, TWO):
        stack.enter_context(listening(link.folder.parent / generation / "http.sock"))
    return stack


def test_leads_nowhere_at_first(link: Link) -> None:
    assert link.routed() is None


def test_leads_where_it_was_routed(link: Link) -> None:
    with sockets(link):
        for generation in (ONE, TWO, TWO, ONE):
            link.route(generation)
            assert link.routed() == generation
            assert os.readlink(link.path) == f"../{generation}/http.sock"
    assert os.listdir(link.folder) == ["live.sock"]


def test_leads_nowhere_where_nothing_is(link: Link) -> None:
    link.route(ONE)
    assert link.routed() is None


def test_leads_to_sockets_alone(link: Link) -> None:
    file = link.folder.parent / ONE / "http.sock"
    file.parent.mkdir()
    file.touch()
    link.route(ONE)
    assert link.routed() is None


@pytest.mark.parametrize(
    "target",
    ["../{one}/other.sock", "../x/http.sock", "{folder}/{one}/http.sock", "../{one}/../{one}/http.sock"],
)
def test_a_foreign_link_leads_to_no_generation(link: Link, target: str) -> None:
    path = target.format(one=ONE, folder=link.folder.parent)
    with listening((link.folder / path).resolve()):
        link.path.symlink_to(path)
        assert link.routed() is None


def test_what_is_no_link_leads_to_no_generation(link: Link) -> None:
    with listening(link.path):
        assert link.routed() is None


def test_replaces_what_is_no_link(link: Link) -> None:
    link.path.touch()
    with sockets(link):
        link.route(ONE)
        assert link.routed() == ONE


@pytest.mark.parametrize("name", ["", "..", "../x", "20261121T013455-8c1f2e9", f"{ONE}\n", f"../{ONE}"])
def test_routes_to_generations_alone(link: Link, name: str) -> None:
    with pytest.raises(ValueError, match="no generation's id"):
        link.route(name)
    assert os.listdir(link.folder) == []


def test_leaves_nothing_behind_where_it_cant_be_replaced(link: Link) -> None:
    link.path.mkdir()
    with pytest.raises(IsADirectoryError):
        link.route(ONE)
    assert os.listdir(link.folder) == ["live.sock"]


def test_removed_leads_nowhere_and_can_be_removed_again(link: Link) -> None:
    with sockets(link):
        link.route(ONE)
        link.remove()
        link.remove()
        assert link.routed() is None


def test_the_link_to_static_files_leads_where_it_is_told_or_nowhere(tmp_path: Path) -> None:
    link = StaticLink(tmp_path)
    assert link.leads_to() is None
    link.lead(None)
    for folder in (tmp_path / "one", tmp_path / "two", tmp_path / "two"):
        link.lead(folder)
        assert link.leads_to() == folder
    inode = link.path.lstat().st_ino
    link.lead(tmp_path / "two")
    assert link.path.lstat().st_ino == inode
    StaticLink(tmp_path, "no-such-user").lead(tmp_path / "one")
    assert link.leads_to() == tmp_path / "one"
    link.lead(None)
    assert link.leads_to() is None
    assert [*tmp_path.iterdir()] == []
