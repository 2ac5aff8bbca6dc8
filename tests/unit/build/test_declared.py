"""What says which packages a release needs, and when two releases need the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.git import write

from segue.build.declared import Declared, find_declared, requires_hashes
from segue.core.errors import Failed

ALL = ("uv.lock", "requirements.txt", "poetry.lock", "pdm.lock", "pyproject.toml")
PROJECT = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["flask"]\n'


def declared(folder: Path, **texts: str) -> Declared:
    """What `folder` declares, with those files in it; an underscore in a name is a dot."""
    for name, text in texts.items():
        write(folder, name.replace("_", "."), content=text)
    found = find_declared(folder)
    assert found is not None
    return found


@pytest.mark.parametrize("first", range(len(ALL)))
def test_of_several_files_one_counts(tmp_path: Path, first: int) -> None:
    write(tmp_path, *ALL[first:-1])
    assert declared(tmp_path, pyproject_toml=PROJECT).file == ALL[first]


@pytest.mark.parametrize(
    "text", ["", "[tool.ruff]\n", '[project]\nname = "a"\n', "[project]\ndependencies = []\n"]
)
def test_a_pyproject_that_names_no_dependencies_declares_nothing(tmp_path: Path, text: str) -> None:
    write(tmp_path, "pyproject.toml", content=text)
    assert find_declared(tmp_path) is None


def test_a_pyproject_that_is_no_toml_fails(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", content="[project\n")
    with pytest.raises(Failed, match=r"pyproject.toml is not valid TOML"):
        find_declared(tmp_path)


@pytest.mark.parametrize("names", [(), ("requirements.txt",)])
def test_extras_of_what_has_none_fail(tmp_path: Path, names: tuple[str, ...]) -> None:
    write(tmp_path, *names)
    with pytest.raises(Failed, match="no extras and no groups") as failed:
        find_declared(tmp_path, ("postgres",), ("docs",))
    assert failed.value.evidence == "asked for: postgres, docs"


# the key


def test_the_key_depends_on_the_text_and_not_on_the_place(tmp_path: Path) -> None:
    one = declared(tmp_path / "one", requirements_txt="flask\n").key()
    assert one == declared(tmp_path / "two", requirements_txt="flask\n").key()
    assert one != declared(tmp_path / "three", requirements_txt="flask==3.1\n").key()


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
    one = declared(tmp_path / "one", requirements_txt=text, base_txt="a==1\n").key()
    assert one == declared(tmp_path / "two", requirements_txt=text, base_txt="a==1\n").key()
    assert one != declared(tmp_path / "three", requirements_txt=text, base_txt="a==2\n").key()


def test_files_that_include_each_other_have_a_key(tmp_path: Path) -> None:
    found = declared(tmp_path, requirements_txt="-r base.txt\n", base_txt="-r requirements.txt\n-r no.txt\n")
    assert len(found.key()) == 32


def test_the_key_of_a_lock_depends_on_what_it_has_to_fit(tmp_path: Path) -> None:
    one = declared(tmp_path / "one", uv_lock="", pyproject_toml=PROJECT).key()
    other = f"{PROJECT}[tool.uv]\nprerelease = 'allow'\n"
    assert one != declared(tmp_path / "two", uv_lock="", pyproject_toml=other).key()
    elsewhere = f"{PROJECT}[tool.segue.app]\nworkers = 3\n[tool.ruff]\n"
    assert one == declared(tmp_path / "three", uv_lock="", pyproject_toml=elsewhere).key()


def test_the_key_of_a_pyproject_depends_on_its_dependencies_alone(tmp_path: Path) -> None:
    one = declared(tmp_path / "one", pyproject_toml=PROJECT).key()
    other_config = f"{PROJECT}[tool.segue.app]\nworkers = 3\n"
    assert one == declared(tmp_path / "two", pyproject_toml=other_config).key()
    other = PROJECT.replace("flask", "quart")
    assert one != declared(tmp_path / "three", pyproject_toml=other).key()
    with_index = f'{PROJECT}[[tool.uv.index]]\nurl = "https://packages.example/simple"\n'
    assert one != declared(tmp_path / "four", pyproject_toml=with_index).key()


def test_the_key_depends_on_extras_and_groups(tmp_path: Path) -> None:
    keys = {
        Declared(tmp_path, "uv.lock", extras, groups).key()
        for extras, groups in (((), ()), (("a",), ()), ((), ("a",)), (("a", "b"), ()), (("a",), ("b",)))
    }
    assert len(keys) == 5


# the project itself


@pytest.mark.parametrize("file", ["uv.lock", "poetry.lock", "pyproject.toml"])
def test_a_project_with_a_build_system_is_a_package(tmp_path: Path, file: str) -> None:
    write(tmp_path, file)
    text = f'{PROJECT}[build-system]\nrequires = ["hatchling"]\n'
    assert declared(tmp_path, pyproject_toml=text).is_package()
    assert not declared(tmp_path, pyproject_toml=PROJECT).is_package()
    off = {"poetry": "package-mode", "pdm": "distribution", "uv": "package"}
    for tool, switch in off.items():
        whole = f"{text}[tool.{tool}]\n{switch} = false\n"
        assert not declared(tmp_path, pyproject_toml=whole).is_package()


def test_requirements_never_mean_the_project_itself(tmp_path: Path) -> None:
    text = f'{PROJECT}[build-system]\nrequires = ["hatchling"]\n'
    assert not declared(tmp_path, requirements_txt="", pyproject_toml=text).is_package()


def test_what_lies_in_the_project_is_known_by_its_lock(tmp_path: Path) -> None:
    sources = (
        'editable = "."',
        'virtual = "."',
        'directory = "till"',
        'registry = "https://packages.example"',
    )
    packages = [
        f'[[package]]\nname = "p{number}"\nversion = "1"\nsource = {{ {source} }}\ndependencies = []\n'
        for number, source in enumerate(sources)
    ]
    found = declared(tmp_path, uv_lock="\n".join(packages), pyproject_toml=PROJECT)
    assert found.local_packages() == ("p0", "p2")


# hashes


@pytest.mark.parametrize(("text", "wanted"), [("flask\n", False), ("--require-hashes\nflask\n", True)])
def test_hashes_may_be_required_by_an_option(tmp_path: Path, text: str, wanted: bool) -> None:
    write(tmp_path, "requirements.txt", content=text)
    assert requires_hashes(tmp_path / "requirements.txt") is wanted
