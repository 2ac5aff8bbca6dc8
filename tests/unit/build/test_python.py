"""Which interpreter runs a release; on a server only one that the app sees from inside its sandbox."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tests.support.git import write

from segue.build.declared import Declared
from segue.build.python import choose_python
from segue.core.errors import Failed


def interpreter(folder: Path, goal: str = sys.executable) -> Path:
    """An environment in `folder` whose interpreter is a link to `goal`."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(goal)
    return folder / "bin" / "python"


def requirements(folder: Path) -> Declared:
    write(folder, "requirements.txt", content="flask\n")
    return Declared(folder, "requirements.txt")


def refused(project: Path, declared: Declared | None, configured: str | None, *hidden: str) -> Failed:
    with pytest.raises(Failed) as failed:
        choose_python(project, declared, configured, hidden)
    assert failed.value.evidence
    assert failed.value.hint
    return failed.value


@pytest.mark.parametrize("hidden", [None, ("/nonexistent",)])
def test_the_configured_interpreter_beats_requirements(
    tmp_path: Path, hidden: tuple[str, ...] | None
) -> None:
    declared = requirements(tmp_path)
    assert choose_python(tmp_path, declared, sys.executable, hidden) == (Path(sys.executable), False)


def test_a_configured_interpreter_that_cannot_be_run_fails(tmp_path: Path) -> None:
    assert "is no interpreter that can be run" in refused(tmp_path, None, "missing/python").message


@pytest.mark.parametrize("hidden", [None, ("/nonexistent",)])
def test_requirements_mean_an_environment_of_the_releases_own(
    tmp_path: Path, hidden: tuple[str, ...] | None
) -> None:
    declared = requirements(tmp_path / "release")
    own = tmp_path / "release" / ".venv" / "bin" / "python"
    assert choose_python(tmp_path, declared, None, hidden) == (own, True)


def test_without_requirements_the_projects_own_environment_is_taken(tmp_path: Path) -> None:
    python = interpreter(tmp_path / ".venv")
    assert choose_python(tmp_path, None, None, None) == (python, False)


def test_a_server_borrows_no_environment(tmp_path: Path) -> None:
    interpreter(tmp_path / ".venv")
    error = refused(tmp_path, None, None)
    assert error.kind == "dependencies"
    assert "requirements.txt" in error.evidence


def test_an_interpreter_that_the_sandbox_hides_is_refused(tmp_path: Path) -> None:
    hidden = tmp_path / "root"
    seen = interpreter(tmp_path / "opt", str(interpreter(hidden, sys.executable)))
    assert choose_python(tmp_path, None, str(seen), [str(hidden)]) == (seen, False)
    error = refused(tmp_path, None, str(hidden / "bin/python"), "/home", str(hidden))
    assert error.message == f"The app can't run {hidden}/bin/python: its sandbox hides {hidden}."


def test_an_environment_made_with_a_hidden_interpreter_is_refused(tmp_path: Path) -> None:
    real = Path(os.path.realpath(sys.executable))
    error = refused(tmp_path, requirements(tmp_path), None, str(real.parent))
    assert error.message == f"The app can't run {real}: its sandbox hides {real.parent}."
