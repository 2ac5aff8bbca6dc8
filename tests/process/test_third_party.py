"""A real app from PyPI that nobody here wrote: httpbin, brought from one release to the next under load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.site import Site, configure, demand_no_loss, serving, traffic

from segue.disk.events import read_events
from segue.proof.spec import Shot

OLD, NEW = "0.10.2", "0.10.4"
FETCHED = "installing dependencies from requirements.txt"
FROM_CACHE = "dependencies unchanged: linked from cache"
SHOTS = (
    Shot(path="/get"),
    Shot(method="POST", path="/anything/{n}", body=(b"order {n}",)),
    Shot(path="/stream/20"),
    Shot(path="/gzip"),
    Shot(path="/delay/0.3"),
)


def require(folder: Path, version: str) -> None:
    """Pin the app's release; the project is nothing but this file and a segue.toml."""
    (folder / "requirements.txt").write_text(f"httpbin=={version}\ngunicorn==27.0.1\n")


def installed(site: Site, release: str) -> str:
    """The version of httpbin in the virtual environment of `release`."""
    (info,) = (site.home.release(release) / ".venv").glob("lib/python*/site-packages/httpbin-*.dist-info")
    return info.name.removeprefix("httpbin-").removesuffix(".dist-info")


def said(site: Site, receipt: dict[str, Any]) -> list[str]:
    """What the build of that deploy said."""
    events = read_events(site.home.events)
    return [
        event["text"]
        for event in events
        if event["event"] == "say" and event["deploy"] == receipt["generation"]
    ]


def test_httpbin_is_upgraded_and_deployed_again_from_cache_and_loses_nothing(tmp_path: Path) -> None:
    """The first deploy fetches the new release; the second needs the same packages, and fetches nothing."""
    folder = tmp_path / "project"
    folder.mkdir()
    require(folder, OLD)
    configure(folder, module="httpbin:app", check="/status/200", workers=2, threads=4)
    with serving(folder) as site:
        with traffic(f"{site.url}/", shots=SHOTS) as load:
            require(folder, NEW)
            upgrade, again = site.deploy(), site.deploy()
        demand_no_loss(load)
        assert len(load.report["generations"]) == 3
        assert installed(site, upgrade["previous"].rpartition(".")[0]) == OLD
        assert installed(site, upgrade["release"]) == installed(site, again["release"]) == NEW
        assert FETCHED in said(site, upgrade)
        assert FROM_CACHE in said(site, again)
        assert FETCHED not in said(site, again)
