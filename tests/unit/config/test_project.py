import subprocess
import sys
from pathlib import Path

import pytest

from segue.config.project import find_project


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    folder = tmp_path / "shop" / "web" / "static"
    folder.mkdir(parents=True)
    return folder


def test_without_any_mark_it_is_the_start(deep: Path) -> None:
    assert find_project(deep) == deep


def test_the_nearest_mark_wins(deep: Path) -> None:
    (deep.parent.parent / "segue.toml").touch()
    assert find_project(deep) == deep.parent.parent
    (deep.parent / ".segue").mkdir()
    assert find_project(deep) == deep.parent
    (deep / "pyproject.toml").write_text("[tool.segue.app]\nworkers = 2\n")
    assert find_project(deep) == deep


@pytest.mark.parametrize(
    "pyproject",
    [
        "",
        "[project]\nname = 'segue'\n",
        "tool = 'segue'\n",
        "[tool.other]\nsegue = 1\n",
        "broken segue",
        "\xff",
    ],
)
def test_a_pyproject_of_something_else_is_passed_by(deep: Path, pyproject: str) -> None:
    (deep / "pyproject.toml").write_text(pyproject, encoding="latin-1")
    (deep.parent / "segue.toml").touch()
    assert find_project(deep) == deep.parent


def test_a_broken_pyproject_that_means_segue_is_the_project(deep: Path) -> None:
    (deep.parent / "pyproject.toml").write_text("[tool.segue.app]\nworkers = \n")
    assert find_project(deep) == deep.parent


def test_a_pyproject_that_is_a_folder_is_passed_by(deep: Path) -> None:
    (deep / "pyproject.toml").mkdir()
    assert find_project(deep) == deep


def test_a_state_file_is_no_state_folder(deep: Path) -> None:
    (deep.parent / ".segue").touch()
    assert find_project(deep) == deep


def test_a_segue_toml_that_cannot_be_read_still_marks_the_project(deep: Path) -> None:
    (deep.parent / "segue.toml").symlink_to("nowhere")
    assert find_project(deep) == deep.parent


def test_one_project_has_one_path(deep: Path, tmp_path: Path) -> None:
    (tmp_path / "shop" / "segue.toml").touch()
    (tmp_path / "link").symlink_to(deep)
    assert find_project(tmp_path / "link") == tmp_path / "shop"


def test_finding_the_project_does_not_import_pydantic() -> None:
    program = "import sys, segue.config.project; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
