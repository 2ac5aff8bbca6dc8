"""Whatever declares a project's packages, a release has exactly these, or is not built and says why."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import uv
from tests.support import locks
from tests.support.git import write
from tests.support.table import often
from tests.support.wheels import hash_of, index, make_wheel

from segue.build.declared import find_declared
from segue.build.environments import KEPT
from segue.build.venv import build_venv
from segue.core.errors import Failed

PROJECT = """\
[project]
name = "shop"
version = "1"
requires-python = ">=3.11"
dependencies = ["cart"]
[project.optional-dependencies]
mail = ["mailer"]
[dependency-groups]
dev = ["linter"]
docs = ["pages"]
"""
PACKAGE = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# the least that makes an editable wheel: a path to the project's own src
BACKEND = """\
import pathlib, zipfile
def build_editable(folder, *_):
    name = "shop-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        wheel.writestr("shop.pth", str(pathlib.Path("src").resolve()))
        wheel.writestr("shop-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: shop\\nVersion: 1\\n")
        about = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr("shop-1.dist-info/WHEEL", about)
        wheel.writestr("shop-1.dist-info/RECORD", "")
    return name
build_wheel = build_editable
"""
BUILDER = """\
import sys, pathlib
from segue.build.declared import find_declared
from segue.build.environments import KEPT
from segue.build.venv import build_venv
release = pathlib.Path(sys.argv[1])
build_venv(find_declared(release), release.parent / "cache", lambda _: None)
"""
BROKEN = "raise SystemExit('no compiler for this')\n"
FROM_CACHE = "dependencies unchanged: linked from cache"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    """An index of its own, the only place that packages come from until it is closed; and an empty cache."""
    house = tmp_path / "house"
    make_wheel(house, "cart", "1.0")
    make_wheel(house, "cart", "2.0")
    for name in ("mailer", "linter", "pages"):
        make_wheel(house, name, "1.0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with ExitStack() as shelf:
        monkeypatch.setenv("UV_DEFAULT_INDEX", shelf.enter_context(index(house)))
        yield shelf


def lock(folder: Path) -> None:
    subprocess.run((uv.find_uv_bin(), "lock", "--quiet"), cwd=folder, check=True)


def build(release: Path, *chosen: tuple[str, ...]) -> list[str]:
    """Make the environment of `release` with the extras, groups and servers `chosen`; what was said of it."""
    said: list[str] = []
    declared = find_declared(release, *chosen)
    assert declared is not None
    build_venv(declared, release.parent / "cache", said.append)
    return said


def failure(release: Path) -> Failed:
    with pytest.raises(Failed) as failed:
        build(release)
    assert kept(release.parent) == []
    return failed.value


def kept(folder: Path) -> list[str]:
    """The environments in the cache in `folder` that count as whole."""
    return sorted(path.name for path in folder.glob("cache/environments/[!.]*"))


def listing(folder: Path, **packages: str) -> Path:
    """A release with those requirements."""
    lines = [f"{name}=={version}\n" for name, version in packages.items()]
    write(folder, "requirements.txt", content="".join(lines))
    return folder


def said_by(release: Path, command: str) -> str:
    """What the `command` of a package in the environment of `release` prints: its prefix, and its version."""
    done = subprocess.run((release / ".venv/bin" / command,), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def installed(release: Path) -> dict[str, str]:
    """The packages in the environment of `release`, and their versions."""
    found = (release / ".venv").glob("lib/python*/site-packages/*.dist-info")
    pairs = (path.name.removesuffix(".dist-info").split("-") for path in found)
    return {name: version for name, version in pairs}  # noqa: C416 - mypy knows no pair of a list


def project(folder: Path, kind: str, text: str = PROJECT) -> Path:
    """A release that declares its packages in a pyproject.toml, with a uv.lock where that is the kind."""
    write(folder, "pyproject.toml", content=text)
    if kind == "uv.lock":
        lock(folder)
    return folder


def again(release: Path, name: str) -> Path:
    return Path(shutil.copytree(release, release.parent / name, ignore=shutil.ignore_patterns(".venv")))


KINDS = pytest.mark.parametrize("kind", ["uv.lock", "pyproject.toml"])


@KINDS
def test_unchanged_dependencies_need_no_index(tmp_path: Path, shelf: ExitStack, kind: str) -> None:
    one = project(tmp_path / "one", kind)
    assert build(one) == [f"installing dependencies from {kind}"]
    two = again(one, "two")
    shelf.close()
    assert build(two) == [FROM_CACHE]
    assert installed(one) == installed(two) == {"cart": "2.0"}
    shutil.rmtree(one)
    assert list(two.glob(".venv/lib/python*/site-packages/__pycache__/cart.*.pyc"))
    assert said_by(two, "cart") == f"{two}/.venv 2.0"
    argv = (two / ".venv/bin/python", "-c", "import cart; print(cart.main.__code__.co_filename)")
    file = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert Path(file.strip()).is_relative_to(two)  # what a traceback would name
    assert not [path for path in (two / ".venv").rglob("*") if named_elsewhere(path, two)]


def named_elsewhere(path: Path, release: Path) -> bool:
    """Whether the file at `path` names a place beside `release`."""
    text = path.read_bytes() if path.is_file() and path.suffix != ".pyc" else b""
    return re.search(re.escape(bytes(release.parent)) + rb"/(?!two/|uv/)", text) is not None


def test_what_is_changed_in_one_release_is_in_no_other(tmp_path: Path, shelf: ExitStack) -> None:
    releases = [listing(tmp_path / name, cart="1.0") for name in ("one", "two", "three")]
    for release in releases:
        build(release)
        (packages,) = release.glob(".venv/lib/python*/site-packages")
        assert not (packages / "stray.py").exists()
        assert said_by(release, "cart") == f"{release}/.venv 1.0"
        (packages / "stray.py").touch()
        (packages / "cart.py").unlink()
        (release / ".venv/bin/cart").unlink()


def test_three_environments_are_kept_those_used_last(tmp_path: Path, shelf: ExitStack) -> None:
    wanted: list[dict[str, str]] = [{"cart": "1.0"}, {"cart": "2.0"}, {"mailer": "1.0"}]
    for number, packages in enumerate([*wanted, wanted[0], {"pages": "1.0"}]):
        build(listing(tmp_path / str(number), **packages))
    assert len(kept(tmp_path)) == KEPT == 3
    assert build(listing(tmp_path / "first", **wanted[0])) == [FROM_CACHE]
    assert build(listing(tmp_path / "second", **wanted[1])) != [FROM_CACHE]


def test_in_a_project_that_was_moved_every_command_is_found(tmp_path: Path, shelf: ExitStack) -> None:
    build(listing(tmp_path / "here" / "one", cart="1.0"))
    (tmp_path / "here").rename(tmp_path / "there")
    two = listing(tmp_path / "there" / "two", cart="1.0")
    build(two)
    assert said_by(two, "cart") == f"{two}/.venv 1.0"


# what has just come to be, seen from the release, where its builder is killed
INSTANTS = {
    "installing": ".venv/bin/python",
    "copying": "../syncing",
    "copied": "../cache/environments/[0-9a-f]*",
    "linking": ".venv",
}
# where the copy for the cache has all its files, and not yet its name
SYNC = "#!/bin/sh\ntouch syncing\nexec sleep 60\n"


@pytest.mark.parametrize("instant", often(INSTANTS, "copying"))
def test_a_builder_that_is_killed_leaves_nothing_that_counts_as_whole(
    tmp_path: Path, shelf: ExitStack, instant: str
) -> None:
    one, two, three = (listing(tmp_path / name, cart="1.0", mailer="1.0") for name in ("one", "two", "three"))
    if instant == "linking":
        build(listing(tmp_path / "zero", cart="1.0", mailer="1.0"))
    sync = tmp_path / "bin" / "sync"
    write(tmp_path, "bin/sync", content=SYNC)
    sync.chmod(0o755)
    path = os.environ["PATH"] if instant != "copying" else f"{sync.parent}:{os.environ['PATH']}"
    argv, env = (sys.executable, "-c", BUILDER, str(one)), {**os.environ, "PATH": path}
    builder = subprocess.Popen(argv, cwd=tmp_path, env=env, start_new_session=True)
    deadline = time.monotonic() + 60
    while not any(one.glob(INSTANTS[instant])):
        assert time.monotonic() < deadline
    os.killpg(builder.pid, signal.SIGKILL)
    builder.wait()
    if instant == "copying":
        assert kept(tmp_path) == []
        assert len(os.listdir(tmp_path / "cache/environments")) == 1
    for release in (two, three):
        build(release)
        assert installed(release) == {"cart": "1.0", "mailer": "1.0"}
        assert said_by(release, "mailer") == f"{release}/.venv 1.0"
    assert [name for name in os.listdir(tmp_path / "cache/environments") if name.startswith(".")] == []


def test_a_bare_pyproject_gets_an_app_server_where_it_names_none(tmp_path: Path, shelf: ExitStack) -> None:
    for name in ("gunicorn", "uvicorn"):
        make_wheel(tmp_path / "house", name, "99.0")
    servers = ("gunicorn", "uvicorn")
    bare, named, locked = (tmp_path / name for name in ("bare", "named", "locked"))
    build(project(bare, "pyproject.toml"), (), (), servers)
    assert installed(bare) == {"cart": "2.0", "gunicorn": "99.0"}
    build(project(named, "pyproject.toml", PROJECT.replace("cart", "uvicorn")), (), (), servers)
    assert installed(named) == {"uvicorn": "99.0"}
    build(project(locked, "uv.lock"), (), (), servers)
    assert installed(locked) == {"cart": "2.0"}


@pytest.mark.parametrize("own", [True, False])
def test_the_cache_of_uv_begins_anew_where_it_is_segues_own(
    tmp_path: Path, shelf: ExitStack, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    monkeypatch.setattr("segue.build.venv.MOST_UNUSED", 0)
    cache = tmp_path / "cache" / "uv" if own else tmp_path / "mine"
    monkeypatch.setenv("UV_CACHE_DIR", str(cache))
    for name in ("one", "two"):
        build(listing(tmp_path / name, cart="1.0"))
        assert said_by(tmp_path / name, "cart") == f"{tmp_path}/{name}/.venv 1.0"
    assert cache.exists() is not own


@KINDS
def test_extras_and_groups_are_installed_where_they_are_asked_for(
    tmp_path: Path, shelf: ExitStack, kind: str
) -> None:
    one = project(tmp_path / "one", kind)
    build(one, ("mail",), ("docs",))
    assert installed(one).keys() == {"cart", "mailer", "pages"}


@KINDS
def test_a_project_that_is_a_package_is_installed_itself(tmp_path: Path, shelf: ExitStack, kind: str) -> None:
    one = tmp_path / "one"
    write(one, "src/shop_code.py", content="")
    write(one, "backend.py", content=BACKEND)
    project(one, kind, PROJECT + PACKAGE)
    two = again(one, "two")
    assert (build(one), build(two)) == ([f"installing dependencies from {kind}"], [FROM_CACHE])
    for release in (one, two):
        argv = (release / ".venv/bin/python", "-c", "import shop_code; print(shop_code.__file__)")
        file = subprocess.run(argv, capture_output=True, text=True, check=True, cwd="/").stdout
        assert Path(file.strip()) == release / "src" / "shop_code.py"
        assert installed(release).keys() == {"cart", "shop"}


@KINDS
def test_an_extra_that_is_not_there_fails(tmp_path: Path, shelf: ExitStack, kind: str) -> None:
    with pytest.raises(Failed, match="could not be installed") as failed:
        build(project(tmp_path / "one", kind), ("post",))
    assert "post" in failed.value.evidence


def test_a_lock_that_is_out_of_date_is_refused(tmp_path: Path, shelf: ExitStack) -> None:
    one = project(tmp_path / "one", "uv.lock")
    write(one, "pyproject.toml", content=PROJECT.replace('["cart"]', '["cart<2"]'))
    error = failure(one)
    assert (error.kind, error.exit_code) == ("lock", 1)
    assert error.message == "uv.lock does not fit pyproject.toml any more."
    assert "uv.lock" in error.evidence
    assert error.hint.startswith("`uv lock`")


def test_hashes_are_demanded_the_first_time_and_again(tmp_path: Path, shelf: ExitStack) -> None:
    (wheel,) = tmp_path.glob("house/cart/cart-1.0-*")
    write(tmp_path / "one", "requirements.txt", content=f"cart==1.0 --hash={hash_of(wheel)}\n")
    two = again(tmp_path / "one", "two")
    build(tmp_path / "one")
    assert build(two) == [FROM_CACHE]
    assert installed(two) == {"cart": "1.0"}


@pytest.mark.parametrize("line", ["cart==1.0 --hash=sha256:" + "0" * 64, "mailer==1.0"])
def test_a_package_without_its_hash_is_not_installed(tmp_path: Path, shelf: ExitStack, line: str) -> None:
    (wheel,) = tmp_path.glob("house/pages/*")
    good = f"pages==1.0 --hash={hash_of(wheel)}"
    write(tmp_path / "one", "requirements.txt", content=f"{good}\n{line}\n")
    assert "hash" in failure(tmp_path / "one").evidence.lower()


def test_packages_that_conflict_fail_with_the_words_of_the_check(tmp_path: Path, shelf: ExitStack) -> None:
    make_wheel(tmp_path / "house", "till", "1.0", "cart<2")
    write(tmp_path / "one", "requirements.txt", content="till\n")
    write(tmp_path / "one", "pyproject.toml", content='[tool.uv]\noverride-dependencies = ["cart==2.0"]\n')
    error = failure(tmp_path / "one")
    assert error.message.endswith("uv pip check failed.")
    assert "till" in error.evidence


def test_a_package_that_does_not_build_fails_with_its_own_words(tmp_path: Path, shelf: ExitStack) -> None:
    write(tmp_path / "one", "broken/pyproject.toml", content=PROJECT + PACKAGE)
    write(tmp_path / "one", "broken/backend.py", content=BROKEN)
    write(tmp_path / "one", "requirements.txt", content="./broken\n")
    error = failure(tmp_path / "one")
    assert error.kind == "build"
    assert "no compiler for this" in error.evidence


@pytest.mark.parametrize("kind", ["requirements.txt", "pyproject.toml", "uv.lock"])
def test_an_index_that_is_unreachable_fails_and_its_password_is_not_told(
    tmp_path: Path, shelf: ExitStack, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    one = project(tmp_path / "one", kind)
    if kind == "requirements.txt":
        write(one, kind, content="cart\n")
    shelf.close()
    address = os.environ["UV_DEFAULT_INDEX"].replace("//", "//reader:hunter22@")
    monkeypatch.setenv("UV_DEFAULT_INDEX", address)
    error = failure(one)
    assert error.kind == "build"
    assert "hunter22" not in f"{error.message}{error.evidence}{error.hint}"


@pytest.mark.parametrize("name", ["poetry", "pdm"])
def test_a_lock_whose_tool_is_missing_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    write(tmp_path / "one", f"{name}.lock", content="")
    write(tmp_path / "one", "pyproject.toml", content=PROJECT)
    error = failure(tmp_path / "one")
    assert error.kind == "exporter"
    assert error.message == f"{name}.lock can't be read without the tool that wrote it."
    assert error.hint.startswith(f"install {name}")
    assert 'python = ".venv/bin/python"' in error.hint


@pytest.mark.soak
@pytest.mark.parametrize("name", ["poetry", "pdm"])
def test_a_lock_of_another_tool_is_read_by_its_export(tmp_path: Path, shelf: ExitStack, name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} on the PATH")
    one, texts = tmp_path / "one", {"poetry": locks.poetry_lock, "pdm": locks.pdm_lock}
    hashes = {wheel.parent.name: hash_of(wheel) for wheel in tmp_path.glob("house/*/*-1.0-*")}
    write(one, f"{name}.lock", content=texts[name](hashes))
    write(one, "pyproject.toml", content=locks.PROJECT)
    two, three, four, five = (again(one, other) for other in ("two", "three", "four", "five"))
    assert build(one) == [f"installing dependencies from {name}.lock"]
    assert installed(one) == {"cart": "1.0"}
    assert build(two) == [FROM_CACHE]
    build(three, ("mail",), ("docs",))
    assert installed(three).keys() == {"cart", "mailer", "pages"}
    with pytest.raises(Failed, match=f"{name} export failed"):
        build(four, ("nothing",))
    write(five, "pyproject.toml", content=locks.PROJECT.replace('["cart"]', '["cart<3"]'))
    with pytest.raises(Failed, match=f"{name}.lock does not fit") as failed:
        build(five)
    assert failed.value.hint.startswith(f"`{name} lock`")
