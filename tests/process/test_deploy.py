"""The main job, in small: deploys under load, and not one request is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.site import configure, demand_no_loss, serving, traffic


@pytest.mark.parametrize("threads", [1, 4], ids=["sync", "gthread"])
def test_three_deploys_lose_nothing(tmp_path: Path, threads: int) -> None:
    """New code serves after each deploy, and no request was lost meanwhile."""
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    configure(folder, threads=threads, workers=2)
    with serving(folder) as site:
        with traffic(f"{site.url}/") as load:
            for version in ("v2", "v3", "v4"):
                make_app(folder, version=version)
                receipt = site.deploy()
                assert receipt["traffic"]["failed"] == 0
        demand_no_loss(load)
        assert len(load.report["generations"]) == 4
        assert site.at_rest()


def test_nothing_that_users_may_notice_begins_before_the_probe_was_answered(tmp_path: Path) -> None:
    """It starts beside the build, and its first answer takes longer than that."""
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    configure(folder, threads=8, workers=2, check="/slow?seconds=3", check_timeout="30s", probe_rate=2)
    with serving(folder) as site:
        make_app(folder, version="v2")
        at = {step["name"]: step["at_s"] for step in site.deploy()["steps"]}
    assert at["build"] < 3.0 <= at["migrate"] < at["switch"]
