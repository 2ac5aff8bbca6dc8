"""`segue up --watch`: what is saved is live soon, whatever else is going on, and nobody loses a request."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support import deaths
from tests.support.apps import make_app
from tests.support.deaths import demand_rest, kill_controller
from tests.support.git import Repository
from tests.support.site import Site, configure, demand_no_loss, serving, traffic, until

from segue.disk.home import Home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    configure(folder, workers=2)
    return folder


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    with serving(folder, "--watch") as site:
        yield site


def save(folder: Path, version: str) -> None:
    make_app(folder, version=version)


def demand_live(site: Site, version: str) -> None:
    until(lambda: deaths.fetch(f"{site.url}/") == version, 60, f"{version} live")


def told(site: Site, text: str) -> bool:
    return text in site.keeper_log()


def is_over(moment: float) -> bool:
    return time.monotonic() >= moment


def more_receipts(site: Site, number: int) -> bool:
    return len(receipts(site)) > number


def receipts(site: Site) -> list[dict[str, Any]]:
    """Of all deploys that ended, the oldest first."""
    return sorted(deaths.history(site).values(), key=lambda receipt: receipt["started_at"])


def test_a_save_is_live_and_nobody_notices(site: Site) -> None:
    with traffic(f"{site.url}/") as load:
        for version in ("v2", "v3"):
            save(site.folder, version)
            demand_live(site, version)
        demand_rest(site)
    demand_no_loss(load)
    assert {receipt["by"] for receipt in receipts(site)[1:]} == {"--watch"}
    assert "every save is deployed" in site.keeper_log()


def test_a_broken_save_shows_its_traceback_and_the_app_answers_as_before(site: Site) -> None:
    with traffic(f"{site.url}/") as load:
        source = site.folder / "wsgi.py"
        good = source.read_text()
        source.write_text(good + "\nimport paymnets\n")
        until(lambda: "No module named 'paymnets'" in site.keeper_log(), what="the traceback")
        assert deaths.fetch(f"{site.url}/") == "v1"
        source.write_text(good)
        save(site.folder, "mended")
        demand_live(site, "mended")
        demand_rest(site)
    demand_no_loss(load)
    assert 'wsgi.py", line' in site.keeper_log()


@pytest.mark.timeout(120)
def test_fifty_saves_in_ten_seconds_end_on_the_last(site: Site) -> None:
    with traffic(f"{site.url}/") as load:
        for number in range(50):
            due = time.monotonic() + 0.2  # a burst, not a wait for anything
            save(site.folder, f"save {number}")
            until(partial(is_over, due), what="the next save's time")
        demand_live(site, "save 49")
        demand_rest(site)
        assert deaths.fetch(f"{site.url}/") == "save 49"
    demand_no_loss(load)
    # a good many of them became one
    assert len(receipts(site)) < 30


def touch_what_does_not_count(folder: Path) -> None:
    for name in (
        "wsgi.py~",
        ".wsgi.py.swp",
        "#wsgi.py#",
        "4913",
        "instance/data.db",
        "ignored/log.txt",
        "a.log",
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("something else")
    for name in ("__pycache__/wsgi.pyc", "venv/pyvenv.cfg", "venv/lib/site.py", "data/rows"):
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("something else")
    # a save without a change
    os.utime(folder / "wsgi.py")
    (folder / "behaviour.json").write_text((folder / "behaviour.json").read_text())


@pytest.mark.parametrize("in_git", [True, False])
def test_what_is_in_no_release_does_not_count(folder: Path, in_git: bool) -> None:
    configure(folder, workers=2, shared=["data"])
    if in_git:
        (folder / ".gitignore").write_text("ignored/\n*.log\n__pycache__/\nvenv/\n")
        Repository.create(folder).commit()
    with serving(folder, "--watch") as site:
        touch_what_does_not_count(folder)
        if not in_git:
            # nothing says that these are not the app's
            (folder / "a.log").unlink()
            (folder / "ignored" / "log.txt").unlink()
        else:
            Repository(folder).commit()
        save(folder, "v2")
        demand_live(site, "v2")
        demand_rest(site)
        assert [receipt["verb"] for receipt in receipts(site)] == ["up", "deploy"]


@pytest.mark.soak
def test_a_file_in_a_new_folder_counts_and_its_removal_too(site: Site) -> None:
    number = len(receipts(site))
    for change in range(3):
        package = site.folder / "package"
        if change == 1:
            (package / "one.py").unlink()
            package.rmdir()
        else:
            package.mkdir()
            (package / "one.py").write_text("")
        until(partial(more_receipts, site, number), what="the deploy")
        number = len(receipts(site))
    demand_rest(site)


def test_a_changed_env_restarts_and_a_changed_config_deploys(site: Site) -> None:
    before = site.live()
    (site.folder / ".env").write_text("GREETING=hello\n")
    until(lambda: site.home.read_record().live != before.name and site.at_rest(), what="the restart")
    assert receipts(site)[-1]["verb"] == "restart"
    assert site.live().start()["release"] == before.start()["release"]
    configure(site.folder, workers=3)
    until(lambda: len(site.live().ready_workers()) == 3, what="the deploy")
    demand_rest(site)
    assert receipts(site)[-1]["verb"] == "deploy"


def test_a_broken_config_is_told_and_mended(site: Site) -> None:
    good = (site.folder / "segue.toml").read_text()
    (site.folder / "segue.toml").write_text(good + "wrokers = 3\n")
    until(lambda: "wrokers" in site.keeper_log(), what="the complaint")
    (site.folder / "segue.toml").write_text(good)
    save(site.folder, "v2")
    demand_live(site, "v2")


def test_a_save_while_the_first_release_boots_is_not_lost(folder: Path) -> None:
    make_app(folder, version="first", import_seconds=1.0)
    home = Home(folder)
    with ThreadPoolExecutor(1) as pool:
        saved = pool.submit(_save_when_booting, home)
        with serving(folder, "--watch") as site:
            saved.result()
            demand_live(site, "second")
            demand_rest(site)


def _save_when_booting(home: Home) -> None:
    until(lambda: home.read_record().phase == "boot", what="boot")
    save(home.project, "second")


@pytest.mark.soak
def test_a_deploy_by_hand_of_what_was_saved_is_not_repeated(site: Site) -> None:
    before = len(receipts(site))
    save(site.folder, "v2")
    site.segue("deploy", "--wait")
    demand_live(site, "v2")
    save(site.folder, "v3")
    demand_live(site, "v3")
    demand_rest(site)
    # by hand or by the watch, whoever was first; the other found nothing to do, or had asked already
    assert len(receipts(site)) - before <= 3
    assert site.segue("rollback", "--json").code == 0
    save(site.folder, "v4")
    demand_live(site, "v4")


def test_a_save_while_no_controller_is_there_is_not_lost(site: Site) -> None:
    with traffic(f"{site.url}/") as load:
        controller = site.controller()
        controller.signal(signal.SIGKILL)
        save(site.folder, "v2")
        demand_live(site, "v2")
        kill_controller(site)
        demand_rest(site)
    demand_no_loss(load)


def test_retention_holds_for_saves_that_fail(site: Site) -> None:
    source = (site.folder / "wsgi.py").read_text()
    for number in range(5):
        (site.folder / "wsgi.py").write_text(f"{source}\nimport missing_{number}\n")
        until(partial(told, site, f"missing_{number}'"), what="its refusal")
    demand_rest(site)
    releases = json.loads(site.segue("releases", "--json").out)
    assert sum(release["state"] in ("bad", "failed") for release in releases) <= 2


def test_a_watcher_that_dies_is_told_and_the_site_serves_on(folder: Path, tmp_path: Path) -> None:
    """What stands for watchfiles fails as it does where the system allows no more watches."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "watchfiles.py").write_text("def awatch(*_, **__):\n    raise OSError('no watch left')\n")
    env = {**os.environ, "PYTHONPATH": str(broken)}
    with serving(folder, "--watch", env=env) as site:
        until(lambda: "no watch left" in site.keeper_log(), what="the complaint")
        save(folder, "v2")
        assert deaths.fetch(f"{site.url}/") == "v1"
        site.deploy()
        assert deaths.fetch(f"{site.url}/") == "v2"


def test_without_the_flag_watchfiles_is_not_even_imported(folder: Path) -> None:
    with serving(folder) as site:
        maps = Path(f"/proc/{site.controller().pid}/maps").read_text()
        assert "_rust_notify" not in maps
