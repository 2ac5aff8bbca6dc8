"""`segue run` and `segue logs`: a command in the live release, and what the app prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.bad import append
from tests.support.site import Site, configure, segue, serving

TELL = "import json, os; print(json.dumps([os.getcwd(), os.environ['SEGUE_GENERATION'], os.environ['PATH']]))"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("run") / "project"
    make_app(folder, version="v1")
    append(folder, 'print("the app was imported", flush=True)')
    configure(folder)
    with serving(folder) as site:
        yield site


@pytest.mark.parametrize("target", [(), ("local",)])
def test_a_command_runs_in_the_live_release_with_its_environment(site: Site, target: tuple[str, ...]) -> None:
    outcome = site.segue("run", *target, "--", "python", "-c", TELL)
    assert outcome.code == 0, outcome.err
    folder, generation, path = json.loads(outcome.out)
    live = site.live()
    assert (folder, generation) == (live.start()["root"], live.name)
    assert path.startswith(live.start()["environ"]["PATH"])


@pytest.mark.parametrize(("command", "code"), [(("sh", "-c", "exit 7"), 7), (("no-such-command",), 127)])
def test_it_ends_with_the_commands_own_code(site: Site, command: tuple[str, ...], code: int) -> None:
    assert site.segue("run", "--", *command).code == code


@pytest.mark.parametrize("words", [(), ("local", "--"), ("nowhere", "--", "true")])
def test_what_makes_no_sense_is_refused(site: Site, words: tuple[str, ...]) -> None:
    outcome = site.segue("run", *words)
    assert outcome.code == 2
    assert "hint:" in outcome.err or "known targets" in outcome.err


def test_without_anything_live_it_is_refused(tmp_path: Path) -> None:
    make_app(tmp_path / "project", version="v1")
    outcome = segue(tmp_path / "project", "run", "--", "true")
    assert outcome.code == 3
    assert "Nothing is live." in outcome.err


def test_the_log_is_shown_and_followed_into_the_next_generation(site: Site) -> None:
    assert "the app was imported" in site.segue("logs").out
    assert len(site.segue("logs", "--lines", "1").out.splitlines()) == 1
    with site.ask("logs", "--follow", "--lines", "1") as following:
        try:
            assert following.stdout is not None
            following.stdout.readline()
            site.deploy()
            assert any("imported" in line for line in following.stdout)
        finally:
            following.terminate()
