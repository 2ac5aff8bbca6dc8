"""One virtual environment per release, the same wherever the requirements are the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.support.git import write

from segue.build.declared import Declared
from segue.build.venv import build_venv
from segue.core.errors import Failed

TINY = "itsdangerous==2.2.0\n"
TINY_PROJECT = '[project]\nname = "tiny"\nversion = "1"\n[tool.setuptools]\npy-modules = ["tiny"]\n'


def requirements(folder: Path, text: str) -> Declared:
    write(folder, "requirements.txt", content=text)
    return Declared(folder, "requirements.txt")


def tiny(release: Path) -> str:
    """What the package tiny says in the environment of `release`."""
    argv = (release / ".venv" / "bin" / "python", "-c", "import tiny; print(tiny.name)")
    return subprocess.run(argv, cwd="/", capture_output=True, text=True, check=True).stdout.strip()


def test_unchanged_requirements_are_linked_from_cache(tmp_path: Path) -> None:
    said: list[str] = []
    for name in ("one", "two"):
        build_venv(requirements(tmp_path / name, TINY), tmp_path / "cache", said.append)
        python = tmp_path / name / ".venv" / "bin" / "python"
        file = subprocess.run(
            (python, "-c", "import itsdangerous; print(itsdangerous.__file__)"),
            capture_output=True, text=True, check=True, cwd=tmp_path,
        ).stdout  # fmt: skip
        assert Path(file.strip()).is_relative_to(tmp_path / name)
    assert said == [
        "installing dependencies from requirements.txt",
        "dependencies unchanged: linked from cache",
    ]


def test_a_package_that_cannot_be_had_fails_with_the_tools_last_lines(tmp_path: Path) -> None:
    declared = requirements(
        tmp_path / "release", "nothing @ file:///nonexistent/nothing-1.0-py3-none-any.whl\n"
    )
    with pytest.raises(Failed, match="could not be installed") as failed:
        build_venv(declared, tmp_path / "cache", lambda _: None)
    assert "nonexistent" in failed.value.evidence
    assert not list((tmp_path / "cache").glob("environments/*"))


def test_a_package_in_the_release_is_the_releases_own(tmp_path: Path) -> None:
    write(tmp_path / "one" / "tiny", "pyproject.toml", content=TINY_PROJECT)
    write(tmp_path / "one" / "tiny", "tiny.py", content="name = 'one'\n")
    build_venv(requirements(tmp_path / "one", "./tiny\n"), tmp_path / "cache", lambda _: None)
    assert tiny(tmp_path / "one") == "one"


def test_a_package_elsewhere_is_installed_as_it_is_now(tmp_path: Path) -> None:
    write(tmp_path / "tiny", "pyproject.toml", content=TINY_PROJECT)
    for name in ("one", "two"):
        write(tmp_path / "tiny", "tiny.py", content=f"name = {name!r}\n")
        declared = requirements(tmp_path / name, f"tiny @ file://{tmp_path}/tiny\n")
        build_venv(declared, tmp_path / "cache", lambda _: None)
        assert tiny(tmp_path / name) == name
