"""The layout of `.segue`, and the run-time folder that nobody else may share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.records import GENERATIONS

from segue.core.errors import Refused, Stranded
from segue.core.record import Record
from segue.disk.home import Home

LIVE = GENERATIONS[0]
RELEASE = LIVE.rpartition(".")[0]
ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
NOT_ROOT = pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")

RUNTIME_FOLDER = """
import sys
from pathlib import Path
from segue.core.errors import SegueError
from segue.disk.home import Home
try:
    print(Home(Path("/srv/shop")).runtime_folder())
except SegueError as error:
    print(error.kind, error.message, error.evidence)
    sys.exit(error.exit_code)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.create()
    return home


def runtime_folder(base: Path) -> tuple[int, str]:
    """How a process with `base` as its XDG_RUNTIME_DIR fares."""
    env = {**os.environ, "XDG_RUNTIME_DIR": str(base)}
    done = subprocess.run(
        (sys.executable, "-c", RUNTIME_FOLDER), env=env, capture_output=True, text=True, check=False
    )
    assert not done.stderr
    return done.returncode, done.stdout.strip()


def users_folder(base: Path) -> Path:
    return base / f"segue-{os.getuid()}"


def test_the_runtime_folder_is_short_and_this_users_alone(tmp_path: Path) -> None:
    code, first = runtime_folder(tmp_path)
    assert (code, first) == runtime_folder(tmp_path)
    assert Path(first).stat().st_mode & 0o777 == 0o700
    assert Path(first).parent.stat().st_mode & 0o777 == 0o700
    assert len(first) - len(str(tmp_path)) < 40


def test_a_link_in_place_of_the_runtime_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    users_folder(tmp_path).symlink_to(tmp_path / "elsewhere")
    code, said = runtime_folder(tmp_path)
    assert code == Refused.exit_code
    assert said.startswith("unsafe")


@pytest.mark.parametrize("obstacle", ["dangling link", "file"])
def test_what_is_no_folder_at_all_is_refused(tmp_path: Path, obstacle: str) -> None:
    if obstacle == "file":
        users_folder(tmp_path).touch()
    else:
        users_folder(tmp_path).symlink_to(tmp_path / "nothing")
    code, said = runtime_folder(tmp_path)
    assert code == Refused.exit_code
    assert said.startswith("unsafe")


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_runtime_folder_that_others_can_enter_is_refused(tmp_path: Path, mode: int) -> None:
    users_folder(tmp_path).mkdir()
    users_folder(tmp_path).chmod(mode)
    code, said = runtime_folder(tmp_path)
    assert code == Refused.exit_code
    assert "mode d" in said


@ROOT
def test_a_runtime_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    users_folder(tmp_path).mkdir(mode=0o700)
    os.chown(users_folder(tmp_path), 12345, 12345)
    code, said = runtime_folder(tmp_path)
    assert code == Refused.exit_code
    assert "owner uid 12345" in said


def test_a_place_where_no_folder_can_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, said = runtime_folder(tmp_path / "file" / "below")
    assert code == Refused.exit_code
    assert said.startswith("unsafe")


def test_creating_twice_is_creating_once_and_git_never_sees_it(home: Home) -> None:
    home.create()
    assert (home.root / ".gitignore").read_text() == "*\n"


def test_a_project_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".segue").touch()
    with pytest.raises(Refused, match="can't be written"):
        Home(tmp_path).create()


@NOT_ROOT
def test_a_project_of_somebody_else_is_refused_with_its_owner(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Refused, match="can't be written") as refused:
        Home(tmp_path).create()
    assert "owner uid" in refused.value.evidence


def test_no_record_is_an_empty_one_and_a_written_one_comes_back(home: Home) -> None:
    assert home.read_record() == Record()
    home.write_record(Record(live=LIVE))
    assert home.read_record() == Record(live=LIVE)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b'"x"', b"[" * 200_000])
def test_a_damaged_record_strands_and_stays_as_it_is(home: Home, content: bytes) -> None:
    path = home.root / "record.json"
    path.write_bytes(content)
    with pytest.raises(Stranded, match="is damaged"):
        home.read_record()
    assert path.read_bytes() == content


def test_current_follows_the_record_through_a_relative_link(home: Home) -> None:
    home.point_current(Record())
    assert not home.current.is_symlink()
    for _ in range(2):
        home.point_current(Record(live=LIVE))
        assert os.readlink(home.current) == f"releases/{RELEASE}"


def test_only_names_of_releases_and_generations_are_listed(home: Home) -> None:
    for name in (f"{RELEASE}.json", f".{RELEASE}.json.0a", ".x.json", "notes.json", f"{LIVE}.json"):
        (home.root / "releases" / name).touch()
    for name in (LIVE, RELEASE, "notes"):
        (home.root / "generations" / name).mkdir()
    assert home.releases() == [RELEASE]
    assert home.generations() == [LIVE]


def test_nothing_is_listed_before_there_is_anything(tmp_path: Path) -> None:
    assert Home(tmp_path).releases() == []
    assert Home(tmp_path).generations() == []


def test_a_generation_that_is_brought_in_again_keeps_its_earlier_receipts(home: Home) -> None:
    home.set_receipt_aside(LIVE)
    assert home.receipts() == []
    for number in range(3):
        home.set_receipt_aside(LIVE)
        assert not home.receipt(LIVE).exists(), "who asks how it went would be told of the old one"
        home.receipt(LIVE).write_text(f"receipt {number}")
        if number != 1:  # not every deploy is measured
            home.timeline(LIVE).write_text(f"timeline {number}")
    told = {path.stem: path.read_text() for path in home.receipts()}
    assert told == {f"{LIVE}~1": "receipt 0", f"{LIVE}~2": "receipt 1", LIVE: "receipt 2"}
    timelines = {path.name: path.read_text() for path in (home.root / "receipts").glob("*.timeline")}
    assert timelines == {f"{LIVE}~1.timeline": "timeline 0", f"{LIVE}.timeline": "timeline 2"}
