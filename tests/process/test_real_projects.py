"""Released projects that nobody here wrote: `segue init`, `segue up`, an answer; all else unchanged."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv
from tests.support.site import demand_no_loss, segue, serving, traffic, until

UV = uv.find_uv_bin()
# what segue, Python, the developer and the app itself make in a project
NOT_THE_PROJECTS = frozenset({"segue.toml", ".segue", ".venv", "__pycache__", "instance"})


@dataclass(frozen=True)
class Project:
    """A project as the package index has it, and what has to come of it.

    Attributes:
        archive: the release that is downloaded, as source.
        folder: where the project is in it.
        module: the app that `segue init` has to find.
        check: the path that it has to have asked for.
        text: what is on the page at `check`.
        packages: what its virtual environment has besides what its pyproject.toml says.
        before: what its own README says to run once, in that environment.
    """

    archive: str
    folder: str
    module: str
    text: str
    check: str = "/"
    packages: tuple[str, ...] = ("gunicorn==27.0.1",)
    before: tuple[str, ...] = ()


PROJECTS = {
    "flaskr": Project(
        "flask==3.1.3",
        "examples/tutorial",
        "flaskr:create_app()",
        "Posts",
        before=("flask", "--app", "flaskr", "init-db"),
    ),
    "js_example": Project("flask==3.1.3", "examples/javascript", "js_example:app", "JavaScript"),
    "httpbin": Project("httpbin==0.10.4", "", "httpbin:app", "python-requests.org"),
    "APIFlask's basic": Project(
        "apiflask==3.1.2",
        "examples/basic",
        "app:app",
        "Hello!",
        packages=("apiflask==3.1.2", "gunicorn==27.0.1"),
    ),
    "gunicorn's Django": Project(
        "gunicorn==27.0.1",
        "examples/frameworks/django/testing",
        "testing.wsgi:application",
        "test",
        packages=("gunicorn==27.0.1", "django==3.2.25"),
    ),
    "FastAPI's tutorial": Project(
        "fastapi==0.165.0",
        "docs_src/async_tests",
        "app_a.main:app",
        "Tomato",
        packages=("fastapi==0.165.0", "uvicorn==0.54.0"),
    ),
}


def download(project: Project, folder: Path) -> Path:
    """The project, unpacked below `folder`; where it can't be had, the test is skipped and says why."""
    words = (
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        ":all:",
        "--dest",
        str(folder),
        project.archive,
    )
    done = subprocess.run((UV, "tool", "run", "pip", *words), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{project.archive} can't be downloaded: {done.stderr.strip().splitlines()[-1]}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    return unpacked / project.folder


def make_venv(project: Project, folder: Path) -> None:
    """What a developer of the project has beside it: its dependencies, and an app server."""
    own = ("--requirements", "pyproject.toml") if (folder / "pyproject.toml").is_file() else ()
    python = folder / ".venv" / "bin" / "python"
    for words in (
        ("venv", "--quiet", "--no-project", "--python", sys.executable, ".venv"),
        ("pip", "install", "--quiet", "--python", str(python), *own, *project.packages),
        ("run", "--no-project", "--python", str(python), *project.before) if project.before else (),
    ):
        if words:
            subprocess.run((UV, *words), cwd=folder, check=True)


def content(folder: Path) -> dict[str, str]:
    """Every file of the project's own, and a hash of what is in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    own = (path for path in files if NOT_THE_PROJECTS.isdisjoint(path.relative_to(folder).parts))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in own}


@pytest.mark.soak
@pytest.mark.parametrize("name", PROJECTS)
def test_a_released_project_is_deployed_as_it_is(tmp_path: Path, name: str) -> None:
    project = PROJECTS[name]
    folder = download(project, tmp_path)
    before = content(folder)
    make_venv(project, folder)
    found = segue(folder, "init", "--json").document["found"]
    assert (found["module"], found["check"] or "/") == (project.module, project.check)
    with serving(folder) as site:
        with traffic(f"{site.url}{project.check}", rate=20) as load:
            until(lambda: site.segue("status", "--json").document["live"]["requests"] > 20, what="traffic")
            with urllib.request.urlopen(f"{site.url}{project.check}", timeout=20) as answer:
                assert project.text in answer.read().decode()
        demand_no_loss(load)
        assert load.report["statuses"].keys() == {"200"}
    assert content(folder) == before
