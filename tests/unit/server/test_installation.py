"""The server's own segue: a real copy of the running one, and what becomes of it when versions change."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.support.server import Picture, Skeleton

from segue import __version__
from segue.disk.lock import hold
from segue.server.installation import Installation, NoInstallation, installed_name
from segue.server.installed import Installed
from segue.server.layout import Layout
from segue.server.origin import Running, fingerprint, is_roots, needed

OLD, NEW, NEWER = (f"segue-{version}-0123456789ab" for version in ("0.9.0", "0.10.0", "1.0"))


@pytest.fixture
def server(tmp_path: Path) -> Picture:
    return Picture(tmp_path / "server")


def installed(server: Picture, name: str) -> None:
    server.source = Skeleton(name)
    Installation(server.layout()).make(server)


def known(server: Picture, app: str) -> Layout:
    """An app that is set up."""
    layout = Layout(app, server.root)
    layout.state.mkdir(parents=True)
    decision = Installed(app, "production", app, "deploy", f"{app}.example", __version__)
    layout.installed.write_text(decision.as_text(), encoding="utf-8")
    return layout


def test_segue_knows_what_it_cant_do_without() -> None:
    names = {one.name.lower().replace("_", "-") for one in needed()}
    assert {"segue", "click", "pydantic", "pydantic-core", "uv", "watchfiles"} <= names
    assert not {"pytest", "mypy", "gunicorn"} & names


@pytest.mark.skipif(bool(Running().obstacles()), reason="the system has no Python of this version")
def test_a_copy_runs_by_itself_and_is_the_same_segue(server: Picture) -> None:
    server.source = Running()
    layout = server.layout()
    Installation(layout).make(server)
    assert Installation(layout).change(server) is None
    told = "import segue.cli.main; from segue.server.origin import *; print(package(), fingerprint())"
    argv = [str(layout.python), "-I", "-c", told]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [str(layout.code.resolve()), fingerprint()]
    version = subprocess.run(
        [str(layout.opt / "bin/segue"), "--version"], capture_output=True, text=True, check=True
    )
    assert version.stdout == f"segue, version {__version__}\n"
    assert layout.exec.read_text(encoding="utf-8").startswith(f"#!{layout.python} -I\n")


def test_a_python_that_others_may_change_is_not_relied_on(tmp_path: Path) -> None:
    assert not is_roots(tmp_path / "python")
    assert not is_roots(Path("/home/somebody/python"))
    assert is_roots(Path("/usr/bin"))


def test_another_version_takes_the_place_in_one_step_and_keepers_are_restarted(server: Picture) -> None:
    known(server, "shop")
    installed(server, OLD)
    server.source = Skeleton(NEW)
    change = Installation(server.layout()).change(server)
    assert change is not None
    assert change.text.endswith(f"{NEW}, a copy of this segue, was {OLD}")
    assert Installation(server.layout()).obstacles(server) == []
    installed(server, NEW)
    assert server.layout().opt.readlink() == Path(NEW)
    assert ("systemctl", "try-restart", "segue-shop.service") in server.ran
    assert {path.name for path in server.layout().opt.parent.iterdir()} == {"segue", OLD, NEW}
    installed(server, NEWER)
    assert {path.name for path in server.layout().opt.parent.iterdir()} == {"segue", NEW, NEWER}


def test_what_a_cut_left_is_gone_before_all_counts_as_done(server: Picture) -> None:
    opt = server.layout().opt
    left = opt.with_name(f".{OLD}.0123abcd")
    left.mkdir(parents=True)
    opt.mkdir()  # so no link can be made, and it ends there
    with pytest.raises(IsADirectoryError):
        installed(server, NEW)
    assert not left.exists()


def test_a_newer_segue_is_not_replaced_by_an_older_one(server: Picture) -> None:
    installed(server, NEW)
    server.source = Skeleton(OLD)
    assert Installation(server.layout()).obstacles(server) == [
        f"the server has {NEW}, which is newer than this segue"
    ]


def test_no_deploy_loses_its_segue(server: Picture) -> None:
    layout = known(server, "blog")
    installed(server, OLD)
    server.source = Skeleton(NEW)
    with hold(layout.lock, "deploy 1"):
        assert Installation(server.layout()).obstacles(server) == ["blog is being deployed"]


def test_a_copy_that_is_half_done_has_no_name(server: Picture) -> None:
    class Broken(Skeleton):
        def copy(self, folder: Path) -> None:
            super().copy(folder)
            raise OSError(28, "No space left on device")

    (server.layout().opt.parent / ".segue-0.1.0-0123456789ab.cut").mkdir()
    server.source = Broken()
    with pytest.raises(OSError, match="No space"):
        Installation(server.layout()).make(server)
    installed(server, OLD)
    assert {path.name for path in server.layout().opt.parent.iterdir()} == {"segue", OLD}


def test_it_is_taken_away_whole(server: Picture) -> None:
    installed(server, OLD)
    part = NoInstallation(server.layout())
    assert part.change(server) is not None
    part.make(server)
    assert list(server.layout().opt.parent.iterdir()) == []
    assert part.change(server) is None


def test_one_put_there_by_hand_is_not_taken_away(server: Picture) -> None:
    server.layout().opt.mkdir()
    assert installed_name(server.layout()) is None
    assert NoInstallation(server.layout()).change(server) is None
    assert "setup did not make it" in Installation(server.layout()).obstacles(server)[0]
