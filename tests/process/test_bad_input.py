"""Bad input on the command line: a sentence, evidence, a hint, its exit code, and nothing is touched."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.bad import demand_untouched, up_refused
from tests.support.site import Site, configure, demand_no_loss, serving, traffic, until
from tests.support.versions import OTHER_VERSION, other_version

import segue as package


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One keeper for all bad commands: none may touch it."""
    folder = tmp_path_factory.mktemp("input") / "project"
    make_app(folder, version="v1")
    configure(folder)
    with serving(folder) as site:
        yield site


@dataclass(frozen=True)
class Words:
    """A command that must be refused.

    Attributes:
        words: the command.
        code: its exit code.
        kind: the error's.
        message: a part of the sentence.
        evidence: a part of the evidence.
        hint: a part of the hint.
        config: the project's segue.toml; None leaves the good one.
    """

    words: tuple[str, ...]
    code: int
    kind: str
    message: str
    evidence: str
    hint: str
    config: str | None = None


THREE_PROBLEMS = """\
[app]
name = "sample"
wrokers = 2
watch = 10
threads = "four"
"""

COMMANDS: dict[str, Words] = {
    "unknown_revision": Words(
        ("deploy", "--rev", "v9"), 2, "revision", "There is no revision 'v9' in ", "git", "git log"
    ),
    "path_that_is_no_folder": Words(
        ("deploy", "--path", "wsgi.py"),
        2,
        "path",
        "wsgi.py is no archive.",
        "it is neither a tar nor a zip",
        "--path",
    ),
    "path_that_is_not_there": Words(
        ("deploy", "--path", "nowhere"),
        2,
        "path",
        "nowhere is not a folder.",
        "nothing of that name",
        "--path",
    ),
    "unknown_strategy": Words(
        ("deploy", "--strategy", "hope"),
        2,
        "strategy",
        "only the strategy handoff",
        "asked for: hope",
        "blue-green",
    ),
    "unknown_target": Words(
        ("deploy", "mars"),
        2,
        "target",
        'There is no target "mars".',
        "known targets: local",
        "[targets.mars]",
    ),
    "rollback_with_nothing_to_go_back_to": Words(
        ("rollback",), 3, "no_release", "no good release to go back to", "-tree  good", "segue releases"
    ),
    "rollback_to_unknown": Words(
        ("rollback", "--to", "20200101T000000-tree"),
        2,
        "release",
        "There is no release",
        "-tree  good",
        "segue releases",
    ),
    "unknown_receipt": Words(
        ("receipt", "20200101T000000-tree"),
        2,
        "receipt",
        "There is no receipt",
        "the newest is ",
        "segue history",
    ),
    "several_config_problems": Words(
        ("deploy",),
        2,
        "config",
        "segue.toml has 3 problems.",
        'app.wrokers: unknown key; did you mean "workers"?\napp.watch: ',
        "mend",
        THREE_PROBLEMS,
    ),
    "wrong_type": Words(
        ("restart",),
        2,
        "config",
        "segue.toml has 1 problem.",
        'app.workers: should be a whole number, got "many"',
        "mend",
        '[app]\nworkers = "many"\n',
    ),
    "no_toml": Words(
        ("deploy",), 2, "config", "segue.toml is not valid TOML.", "line 1", "mend", "workers = = 2\n"
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_bad_command_touches_nothing(site: Site, name: str) -> None:
    case = COMMANDS[name]
    configure(site.folder)
    if case.config is not None:
        (site.folder / "segue.toml").write_text(case.config)
    error = demand_untouched(site.folder, case.code, *case.words)
    assert error["kind"] == case.kind
    assert case.message in error["message"]
    assert case.evidence in error["evidence"]
    assert case.hint in error["hint"]
    assert site.at_rest()


def test_rollback_to_the_live_release_is_refused(site: Site) -> None:
    configure(site.folder)
    live = site.home.releases()[0]
    error = demand_untouched(site.folder, 3, "rollback", "--to", live)
    assert (error["kind"], error["message"]) == ("live", f"{live} is live already.")
    assert "segue restart" in error["hint"]


def test_a_damaged_record_strands_every_command_and_the_site_serves_on(site: Site) -> None:
    """Exit code 5, the file untouched; even a live master that dies meanwhile is started again."""
    configure(site.folder)
    record = site.home.root / "record.json"
    good = record.read_text()
    live = site.live()
    try:
        record.write_text(good[: len(good) // 2])
        with traffic(f"{site.url}/") as load:
            for words in (("status",), ("deploy",), ("rollback",), ("releases",), ("recover",)):
                error = demand_untouched(site.folder, 5, *words)
                assert error["kind"] == "record"
                assert "record.json is damaged" in error["message"]
                assert "nothing was touched" in error["hint"]
        demand_no_loss(load)
        master = live.master()
        assert master is not None
        master.signal(signal.SIGKILL)
        until(lambda: (found := live.master()) is not None and found != master and live.ready_workers())
        until(lambda: "`segue recover` ends it" in site.keeper_log(), what="a word about the record")
        assert site.process.poll() is None
    finally:
        record.write_text(good)
    assert site.segue("restart", "--json").code == 0


def test_a_controller_starts_again_whatever_became_of_the_config(tmp_path: Path) -> None:
    with serving(project(tmp_path)) as site:
        (site.folder / "segue.toml").write_text(THREE_PROBLEMS)
        before = site.controller()
        with traffic(f"{site.url}/") as load:
            before.signal(signal.SIGKILL)
            until(lambda: site.controller() != before, what="another controller")
            assert demand_untouched(site.folder, 2, "deploy")["kind"] == "config"
            configure(site.folder)
            assert site.deploy()["ok"]
        demand_no_loss(load)


def test_a_second_up_in_one_project_is_refused(site: Site) -> None:
    configure(site.folder)
    outcome = up_refused(site.folder, 3, "--bind", site.bind)
    assert outcome.err.startswith(f"error: Another `segue up` of {site.folder} is under way.\n")
    assert f"held by pid {site.process.pid} of " in outcome.err
    assert "\n\nhint: `segue deploy` brings a new release in" in outcome.err


def test_a_keeper_of_another_version_is_refused(site: Site, tmp_path: Path) -> None:
    configure(site.folder)
    error = demand_untouched(site.folder, 3, "deploy", env=other_version(tmp_path))
    assert error["kind"] == "keeper_version"
    here, there = package.__version__, OTHER_VERSION
    assert error["message"] == f"The keeper that runs is segue {here}, and this is segue {there}."
    assert f"pid {site.controller().pid}" in error["evidence"]
    assert "`segue up --upgrade` replaces it" in error["hint"]


# no keeper


def project(tmp_path: Path, version: str = "v1") -> Path:
    folder = (tmp_path / "project").resolve()
    make_app(folder, version=version)
    configure(folder)
    return folder


@pytest.mark.parametrize(
    "words", [("deploy",), ("rollback",), ("restart",), ("recover",), ("deploy", "--dry-run")]
)
def test_without_a_keeper_nothing_is_deployed(tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = project(tmp_path)
    error = demand_untouched(folder, 3, *words)
    assert error["kind"] == "no_keeper"
    assert error["message"] == f"No keeper is running for {folder}."
    assert str(folder / ".segue" / "keeper.json") in error["evidence"]
    assert "segue up" in error["hint"]
    assert not (folder / ".segue").exists()


def test_a_stale_control_socket_is_no_keeper_and_stops_no_other(tmp_path: Path) -> None:
    folder = project(tmp_path)
    with serving(folder) as site:
        keeper, old = site.home.read_keeper(), site.live().master()
        assert keeper is not None
        site.process.kill()
        site.process.wait()
        site.controller().signal(signal.SIGKILL)
        until(lambda: not site.controller().alive())
        assert Path(keeper["socket"]).is_socket()
        assert demand_untouched(folder, 3, "deploy")["kind"] == "no_keeper"
        with serving(folder) as again:
            # what the dead keeper left serves on, and is taken over
            assert again.live().master() == old
            assert again.deploy()["ok"]
        assert not (folder / ".segue" / "keeper.json").exists()
