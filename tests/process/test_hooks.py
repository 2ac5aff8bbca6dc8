"""The user's commands at named places of a deploy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.apps import make_app
from tests.support.site import Site, configure, demand_no_loss, serving, traffic

# what a hook's environment says, one line a hook
TELL = """
import os, sys
names = ("HOOK", "VERB", "GENERATION", "CANDIDATE", "PREVIOUS", "ERROR_KIND")
with open(sys.argv[1], "a") as file:
    print(*(os.environ.get(f"SEGUE_{name}", "-") or "none" for name in names), os.getcwd(), file=file)
print("the hook was here")
"""
PLACES = ("after_build", "before_switch", "after_commit", "after_rollback", "on_failure")


def hooked(folder: Path, **hooks: Any) -> Path:
    """A project whose hooks tell of themselves, but for those in `hooks`."""
    make_app(folder, version="v1")
    (folder / "tell.py").write_text(TELL)
    write_hooks(folder, **hooks)
    return folder


def write_hooks(folder: Path, **hooks: Any) -> None:
    tell = [[sys.executable, "tell.py", str(folder.parent / "told")]]
    configure(folder, workers=1)
    lines = [
        f"{key} = {json.dumps(value)}\n" for key, value in {**dict.fromkeys(PLACES, tell), **hooks}.items()
    ]
    with (folder / "segue.toml").open("a") as file:
        file.writelines(["[hooks]\n", *lines])


def told(site: Site) -> list[list[str]]:
    """What the hooks told since the last time, word by word."""
    file = site.folder.parent / "told"
    lines = [line.split() for line in file.read_text().splitlines()]
    file.unlink()
    return lines


def test_hooks_run_at_their_places_in_the_release_that_is_brought_in(tmp_path: Path) -> None:
    with serving(hooked(tmp_path / "project")) as site:
        first = site.live()
        assert [words[0] for words in told(site)] == ["after_build", "before_switch", "after_commit"]
        make_app(site.folder, version="v2")
        with traffic(f"{site.url}/") as load:
            receipt = site.deploy()
        demand_no_loss(load)
        second, places = receipt["generation"], ["after_build", "before_switch", "after_commit"]
        where = str(site.home.release(receipt["release"]))
        expected = [[place, "deploy", second, second, first.name, "-", where] for place in places]
        assert told(site) == expected
        assert [(one["hook"], one["printed"]) for one in receipt["hooks"]] == [
            (place, "the hook was here") for place in places
        ]
        back = site.segue("rollback", "--json").document
        assert [words[:4] for words in told(site)] == [
            [place, "rollback", back["generation"], back["generation"]]
            for place in ("before_switch", "after_rollback")
        ]


def test_a_hook_that_fails_before_the_commit_has_the_release_taken_back(tmp_path: Path) -> None:
    with serving(hooked(tmp_path / "project")) as site:
        live = site.live().name
        told(site)
        write_hooks(
            site.folder, before_switch=[[sys.executable, "-c", "print('no cache'); raise SystemExit(4)"]]
        )
        with traffic(f"{site.url}/") as load:
            outcome = site.segue("deploy", "--json")
        demand_no_loss(load)
        assert outcome.code == 1
        error = outcome.document["error"]
        assert error["kind"] == "hook"
        assert error["message"].endswith("at before_switch ended with status 4.")
        assert error["evidence"].endswith("no cache")
        assert site.live().name == live
        assert load.report["generations"].keys() == {live}
        failure = told(site)[-1]
        assert failure[:6] == ["on_failure", "deploy", live, outcome.document["generation"], live, "hook"]


def test_a_hook_that_hangs_is_ended_and_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    with serving(hooked(tmp_path / "project")) as site:
        write_hooks(site.folder, after_build=["sleep 1000"], timeout="300ms")
        hangs = site.segue("deploy", "--json").document["error"]
        assert hangs["message"].endswith("did not end within 300 ms.")
        write_hooks(site.folder, after_build=["no-such-program"])
        missing = site.segue("deploy", "--json").document["error"]
        assert missing["message"].endswith("ended with status 127.")
        assert missing["evidence"].endswith("no-such-program: No such file or directory")


def test_a_hook_that_fails_after_the_commit_is_a_note(tmp_path: Path) -> None:
    with serving(hooked(tmp_path / "project")) as site:
        write_hooks(site.folder, after_commit=["false"])
        receipt = site.deploy()
        assert site.live().name == receipt["generation"]
        assert any("at after_commit ended with status 1" in note for note in receipt["notes"])
        assert receipt["steps"][-1]["status"] == "done"
