"""One virtual environment per release, the same wherever the requirements are the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.git import write

from segue.build.venv import build_venv, choose_python, requirements_key
from segue.core.errors import Failed

TINY = "itsdangerous==2.2.0\n"
TINY_PROJECT = '[project]\nname = "tiny"\nversion = "1"\n[tool.setuptools]\npy-modules = ["tiny"]\n'


def requirements(folder: Path, text: str, **included: str) -> Path:
    write(folder, "requirements.txt", content=text)
    for name, content in included.items():
        write(folder, f"{name}.txt", content=content)
    return folder / "requirements.txt"


def tiny(release: Path) -> str:
    """What the package tiny says in the environment of `release`."""
    argv = (release / ".venv" / "bin" / "python", "-c", "import tiny; print(tiny.name)")
    return subprocess.run(argv, cwd="/", capture_output=True, text=True, check=True).stdout.strip()


def test_the_key_depends_on_the_text_and_not_on_the_place(tmp_path: Path) -> None:
    one = requirements_key(requirements(tmp_path / "one", "flask\n"))
    assert one == requirements_key(requirements(tmp_path / "two", "flask\n"))
    assert one != requirements_key(requirements(tmp_path / "three", "flask==3.1\n"))


@pytest.mark.parametrize(
    "line",
    [
        "-r base.txt",
        "-rbase.txt",
        "--requirement base.txt",
        "--requirement=base.txt",
        "-c base.txt",
        " -r  base.txt",
    ],
)
def test_the_key_depends_on_every_included_file(tmp_path: Path, line: str) -> None:
    text = f"flask\n{line}\n"
    one = requirements_key(requirements(tmp_path / "one", text, base="a==1\n"))
    assert one == requirements_key(requirements(tmp_path / "two", text, base="a==1\n"))
    assert one != requirements_key(requirements(tmp_path / "three", text, base="a==2\n"))


def test_files_that_include_each_other_have_a_key(tmp_path: Path) -> None:
    key = requirements_key(
        requirements(tmp_path, "-r base.txt\n", base="-r requirements.txt\n-r missing.txt\n")
    )
    assert len(key) == 32


def test_unchanged_requirements_are_linked_from_cache(tmp_path: Path) -> None:
    said: list[str] = []
    for name in ("one", "two"):
        requirements(tmp_path / name, TINY)
        build_venv(tmp_path / name, tmp_path / "cache", said.append)
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
    requirements(tmp_path / "release", "nothing @ file:///nonexistent/nothing-1.0-py3-none-any.whl\n")
    with pytest.raises(Failed, match="could not be installed") as failed:
        build_venv(tmp_path / "release", tmp_path / "cache", lambda _: None)
    assert "nonexistent" in failed.value.evidence
    assert not list((tmp_path / "cache").glob("resolved/*"))


def test_a_package_in_the_release_is_the_releases_own(tmp_path: Path) -> None:
    write(tmp_path / "one" / "tiny", "pyproject.toml", content=TINY_PROJECT)
    write(tmp_path / "one" / "tiny", "tiny.py", content="name = 'one'\n")
    requirements(tmp_path / "one", "./tiny\n")
    build_venv(tmp_path / "one", tmp_path / "cache", lambda _: None)
    assert tiny(tmp_path / "one") == "one"


def test_a_package_elsewhere_is_installed_as_it_is_now(tmp_path: Path) -> None:
    write(tmp_path / "tiny", "pyproject.toml", content=TINY_PROJECT)
    for name in ("one", "two"):
        write(tmp_path / "tiny", "tiny.py", content=f"name = {name!r}\n")
        requirements(tmp_path / name, f"tiny @ file://{tmp_path}/tiny\n")
        build_venv(tmp_path / name, tmp_path / "cache", lambda _: None)
        assert tiny(tmp_path / name) == name


def test_the_configured_interpreter_beats_requirements(tmp_path: Path) -> None:
    requirements(tmp_path / "release", TINY)
    assert choose_python(tmp_path, tmp_path / "release", sys.executable) == (Path(sys.executable), False)


def test_a_configured_interpreter_that_cannot_be_run_fails(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="is no interpreter that can be run"):
        choose_python(tmp_path, tmp_path, "missing/python")


def test_requirements_mean_an_environment_of_the_releases_own(tmp_path: Path) -> None:
    requirements(tmp_path / "release", TINY)
    own = tmp_path / "release" / ".venv" / "bin" / "python"
    assert choose_python(tmp_path, tmp_path / "release", None) == (own, True)


def test_without_requirements_the_projects_own_environment_is_taken(tmp_path: Path) -> None:
    write(tmp_path, ".venv/bin/python")
    (tmp_path / ".venv" / "bin" / "python").chmod(0o755)
    assert choose_python(tmp_path, tmp_path / "release", None) == (tmp_path / ".venv/bin/python", False)
