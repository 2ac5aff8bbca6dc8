"""Root leads a link to another release only where the unit, which only root can write, names that link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.bad import demand_good_error

from segue.core.address import Address
from segue.core.errors import Refused
from segue.reload.door import Door
from segue.reload.look import Looked, Service
from segue.reload.master import Command, read_master
from segue.reload.release import plan_flip
from segue.reload.unit import Unit

OLD = 1_000_000_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two releases, of which `current` leads to the first."""
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / "v1", (OLD, OLD))
    (tmp_path / "current").symlink_to("v1")
    return tmp_path


def looked(chdir: Path, words: str = "", folder: str = "") -> Looked:
    told = {"WorkingDirectory": folder, "ExecStart": f"{{ path=/x ; argv[]=/v/bin/gunicorn {words} ; x }}"}
    service = Service(
        unit=Unit("shop.service", told, ()),
        master=read_master(os.getpid(), ()),
        command=Command(("python",), "", ()),
        workers=frozenset(),
        listeners=frozenset(),
        door=Door("localhost", Address("localhost", 80)),
        environ={},
    )
    return Looked(service, {"settings": {"chdir": str(chdir)}}, (), "")


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        ("--chdir {home}/current a:b", ""),
        ("--chdir={home}/current/ a:b", ""),
        ("--chdir current a:b", "{home}"),
        ("a:b", "{home}/current"),
    ],
)
def test_a_link_that_the_unit_names_may_be_led(home: Path, words: str, folder: str) -> None:
    found = looked(home / "current", words.format(home=home), folder.format(home=home))
    flip = plan_flip(found, home / "v2")
    assert (flip.link, flip.before, flip.release) == (home / "current", "v1", home / "v2")


def test_a_link_that_only_the_apps_user_names_is_left_alone(home: Path) -> None:
    """What Gunicorn reads as its folder comes from a process of the app's user: it may say anything."""
    (home / "lib64").symlink_to("v1")
    for words in ("a:b", f"--chdir {home}/current a:b", "lib64"):
        with pytest.raises(Refused) as caught:
            plan_flip(looked(home / "lib64", words, str(home)), home / "v2")
        demand_good_error(caught.value.as_dict())
        assert "lib64" in caught.value.evidence
    assert str((home / "lib64").readlink()) == "v1"


def test_a_link_to_a_file_is_no_release(home: Path) -> None:
    (home / "v1/python").write_text("")
    (home / "python").symlink_to("v1/python")
    with pytest.raises(Refused):
        plan_flip(looked(home / "python", f"{home}/python -m gunicorn"), home / "v2")


def test_a_link_that_leads_there_already_is_not_led_again(home: Path) -> None:
    with pytest.raises(Refused) as caught:
        plan_flip(looked(home / "current", folder=f"{home}/current"), home / "v1")
    demand_good_error(caught.value.as_dict())
    assert (caught.value.kind, "leave --release out" in caught.value.hint) == ("same_release", True)
