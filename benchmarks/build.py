"""``python -m benchmarks.build``: what a build costs, measured and written to docs/benchmarks/build.md."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.numbers import Estimate, mean_ratio, median
from segue.build.declared import Declared
from segue.build.snapshot import snapshot
from segue.build.source import resolve_source
from segue.build.venv import build_venv

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks" / "build.md"
PACKAGES = ("flask", "django", "fastapi", "celery", "gunicorn", "uvicorn", "uvloop", "httptools", "pydantic")
PAIRS = 4
COPIES = 3
FILES = 10_000
IN_A_FOLDER = 100
MOST_LOAD = 0.7  # of other work, before the benchmark began

BUSY = """

**The machine was busy with something else in this run**: read times as too long, and the ratio as rough."""

TEXT = """\
# What a build costs

Written by `make bench-build`, on {when}. {where}.

## Unchanged dependencies

A `requirements.txt` of {packages}; {installed} packages in all.
First with nothing in any cache, so that all of it comes from the index, and is byte-compiled and checked;
then another release with the same list, linked from the environment that was kept: {pairs} such pairs, each
with caches of its own. The ratio is the geometric mean over them, with Student's 95 % interval on the
logarithms; the times are medians, with their 95 % intervals.{busy}

| | |
|---|---|
| first build, s | {first} |
| unchanged, s | {again} |
| unchanged to first | {ratio} |
| unchanged, and the project itself a package (hatchling), s | {package} |

## Copying the source

{files:,} files of 1 to 4 KiB in {folders} folders, copied to a release {copies} times.

| | s |
|---|---|
| a folder without git | {plain} |
| a working tree in git | {tree} |
| a commit | {commit} |
"""

PYPROJECT = """\
[project]
name = "shop"
version = "1"
dependencies = ["flask=={flask}"]
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""

Timed = Callable[[], object]


def main() -> None:
    """Measure, and write the page."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        builds = [_build_twice(Path(folder, str(number))) for number in range(PAIRS)]
        package = _build_packages(Path(folder, "package"))
        copies = _copies(Path(folder, "copies"))
    installed = builds[0][2]
    PAGE.write_text(
        TEXT.format(
            when=f"{datetime.now(UTC):%d %B %Y}",
            where=f"Python {platform.python_version()}, uv {version('uv')}, {_git()}; "
            f"{os.cpu_count()} cores, load average {load:.1f} at the start",
            packages=", ".join(f"{name} {version(name)}" for name in PACKAGES),
            installed=installed,
            pairs=PAIRS,
            copies=COPIES,
            busy=BUSY if load > MOST_LOAD else "",
            first=_show(median([first for first, _, _ in builds])),
            again=_show(median([again for _, again, _ in builds])),
            ratio=_show(mean_ratio([again / first for first, again, _ in builds]), 3),
            package=_show(median(package)),
            files=FILES,
            folders=FILES // IN_A_FOLDER,
            **{name: _show(median(times)) for name, times in copies.items()},
        )
    )
    print(PAGE.read_text())


def _build_twice(folder: Path) -> tuple[float, float, int]:
    """Seconds of a first build and of another one like it, and how many packages that was."""
    os.environ["UV_CACHE_DIR"] = str(folder / "uv")
    times = []
    for name in ("first", "again"):
        release = folder / name
        release.mkdir(parents=True)
        (release / "requirements.txt").write_text("".join(f"{one}=={version(one)}\n" for one in PACKAGES))
        declared = Declared(release, "requirements.txt")
        times.append(_seconds(functools.partial(build_venv, declared, folder / "cache", print)))
    packages = len(list((folder / "first" / ".venv").glob("lib/python*/site-packages/*.dist-info")))
    shutil.rmtree(folder)
    return times[0], times[1], packages


def _build_packages(folder: Path) -> list[float]:
    """Seconds of builds like one before them, of a project that its own backend makes a package."""
    os.environ["UV_CACHE_DIR"] = str(folder / "uv")
    times = [_build_package(folder, str(number)) for number in range(1 + COPIES)]
    return times[1:]


def _build_package(folder: Path, name: str) -> float:
    release = folder / name
    (release / "shop").mkdir(parents=True)
    (release / "shop" / "__init__.py").touch()
    (release / "pyproject.toml").write_text(PYPROJECT.format(flask=version("flask")))
    declared = Declared(release, "pyproject.toml")
    return _seconds(functools.partial(build_venv, declared, folder / "cache", print))


def _copies(folder: Path) -> dict[str, list[float]]:
    make_project(folder)
    plain = [copy_release(folder) for _ in range(COPIES)]
    track(folder)
    tree = [copy_release(folder) for _ in range(COPIES)]
    return {"plain": plain, "tree": tree, "commit": [copy_release(folder, "HEAD") for _ in range(COPIES)]}


def make_project(folder: Path) -> None:
    """Make a project of many small files in `folder`."""
    for number in range(FILES):
        file = folder / "project" / str(number // IN_A_FOLDER) / f"{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"#" * (1025 + number % 3000))


def track(folder: Path) -> None:
    """Have git track the project that `make_project` made in `folder`."""
    me = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message=all")):
        subprocess.run(("git", *me, *words), cwd=folder / "project", check=True)


def copy_release(folder: Path, revision: str | None = None) -> float:
    """The seconds that a release takes of the project in `folder`, as it is or at `revision`.

    It stays there: the disk would free it in the time of the next one.
    """
    release = Path(tempfile.mkdtemp(dir=folder)) / "release"
    source = resolve_source(folder / "project", revision)
    os.sync()  # none pays for what the one before it left to be written
    return _seconds(lambda: snapshot(source, folder / "data", release, (), print))


def _seconds(work: Timed) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _git() -> str:
    return subprocess.run(("git", "--version"), capture_output=True, text=True, check=True).stdout.strip()


def _show(estimate: Estimate, digits: int = 2) -> str:
    value, low, high = (f"{number:.{digits}f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"


if __name__ == "__main__":
    main()
