"""A disk that has no room for another release."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import faults
from tests.support.apps import make_app
from tests.support.site import configure, demand_no_loss, serving, traffic

from segue.deploy.room import LEAST
from segue.disk.space import taken

LARGE = 6 << 20  # bytes


def test_without_room_a_deploy_is_refused_and_says_what_could_go(tmp_path: Path) -> None:
    with faults.small_disk(tmp_path / "disk") as disk:
        folder = disk / "project"
        make_app(folder, version="v1")
        (folder / "large").write_bytes(bytes(LARGE))
        configure(folder, workers=1)
        with serving(folder) as site, traffic(f"{site.url}/") as load:
            releases = [site.live().name.rpartition(".")[0]]
            releases += [site.deploy()["release"] for _ in range(3)]
            (disk / "other").write_bytes(bytes(LARGE))
            refused = site.segue("deploy", "--json")
            assert refused.code == 3, refused.out
            error = refused.document["error"]
            assert error["kind"] == "disk"
            assert "another release takes 15 MB" in error["message"]
            assert error["evidence"].splitlines()[1:] == [f"{name}  6 MB" for name in releases[:2]]
            configure(folder, workers=1, keep=2)
            site.deploy()
            assert not site.home.release(releases[0]).exists()
            assert f"0 MB of cache in {site.home.cache}\n" in site.segue("releases").out
        demand_no_loss(load)


@pytest.mark.parametrize("extra", [0, 4096])
def test_only_what_is_its_own_counts(tmp_path: Path, extra: int) -> None:
    cache, release = tmp_path / "cache", tmp_path / "release"
    release.mkdir()
    cache.write_bytes(bytes(LEAST))
    (release / "linked").hardlink_to(cache)
    (release / "own").write_bytes(bytes(extra))
    assert taken(release) == extra
