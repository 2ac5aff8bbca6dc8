"""Static files through deploys: a page that was loaded before one finds what it names after it."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.site import Site, configure, demand_no_loss, serving, traffic, until
from tests.support.visitors import (
    asset_of,
    content_of,
    demand_content,
    django_files,
    get,
    visitors,
    write_page,
)

from segue.build.static_files import MANIFEST, Statics

# what a bundler does: a file whose name has what is in it, and a page that names it
BUNDLE = """
import hashlib, json, os, sys
from pathlib import Path

text = Path("source.css").read_text()
if "BROKEN" in text:
    sys.exit("source.css:1: unexpected BROKEN")
name = f"app.{hashlib.sha256(text.encode()).hexdigest()[:18]}a7.css"
Path("dist").mkdir()
Path("dist", name).write_text(text)
if "SLOW" in text:
    Path(os.environ["TOLD"]).touch()
    import time
    time.sleep(600)
Path("page.json").write_text(json.dumps([f"/static/{name}"]))
print("bundled in", os.environ["SEGUE_RELEASE"])
"""


def write_config(folder: Path, static: dict[str, Any] | None, **settings: Any) -> None:
    configure(folder, workers=2, threads=4, **settings)
    with (folder / "segue.toml").open("a") as file:
        if static is not None:
            file.writelines(
                ["[static]\n", *(f"{key} = {json.dumps(value)}\n" for key, value in static.items())]
            )


def a_page(folder: Path, static: dict[str, Any] | None = None, **settings: Any) -> Path:
    folder.mkdir()
    write_page(folder, "v1")
    write_config(folder, {} if static is None else static, **settings)
    return folder


def step(receipt: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in receipt["steps"] if one["name"] == name)
    return dict(found)


def test_old_pages_find_their_files_through_deploys_and_a_rollback(tmp_path: Path) -> None:
    with serving(a_page(tmp_path / "project", keep=3)) as site:
        with visitors(site.url) as visits, traffic(f"{site.url}/static/plain.css") as load:
            write_page(site.folder, "v2")
            second = site.deploy()
            assert step(second, "static")["detail"] == "2 files, 1 fingerprinted; 1 of other releases kept"
            write_page(site.folder, "v3")
            site.deploy()
            assert site.segue("rollback").code == 0
        demand_content(visits)
        demand_no_loss(load)
        assert visits.pages.keys() == {"v1", "v2", "v3"}
        # a name that both have is that of the release that serves
        assert get(site.url, "/static/plain.css")[1] == content_of("v2")
        # two good releases stay: of the first one nothing is left, not even in the others' folders
        write_config(site.folder, {}, keep=2)
        write_page(site.folder, "v4")
        last = site.deploy()
        assert "static files" in step(last, "prune")["detail"]
        assert get(site.url, f"/static/{asset_of('v1')}")[0] == 404
        assert get(site.url, f"/static/{asset_of('v2')}")[:2] == (200, content_of("v2"))


@pytest.mark.soak  # tests/nginx/test_static.py has this counterpart in short
def test_without_it_the_same_people_miss_their_files(tmp_path: Path) -> None:
    folder = a_page(tmp_path / "project")
    write_config(folder, None)
    with serving(folder) as site:
        with visitors(site.url) as visits:
            write_page(site.folder, "v2")
            receipt = site.deploy()
        assert "static" not in [one["name"] for one in receipt["steps"]]
        assert any(f"{asset_of('v1')} of v1 answered 404" in line for line in visits.trouble)


@pytest.mark.soak
def test_the_first_deploy_with_it_keeps_what_was_there_before(tmp_path: Path) -> None:
    folder = a_page(tmp_path / "project")
    write_config(folder, None)
    with serving(folder) as site:
        with visitors(site.url) as visits:
            write_config(folder, {})
            write_page(site.folder, "v2")
            site.deploy()
        demand_content(visits)


def bundled(folder: Path, told: Path) -> Path:
    folder.mkdir()
    (folder / "wsgi.py").write_text(
        "from flask import Flask, json\n\n"
        'app = Flask(__name__, static_folder="dist", static_url_path="/static")\n'
        'PAGE = json.load(open("page.json"))\n'
        '\n@app.get("/")\ndef page():\n    return {"version": "x", "assets": PAGE}\n'
        '\n@app.get("/healthz")\ndef healthz():\n    return "ok"\n'
    )
    (folder / "bundle.py").write_text(BUNDLE.replace('os.environ["TOLD"]', repr(str(told))))
    (folder / "source.css").write_text("body { color: red }\n")
    write_config(folder, {"folder": "dist", "build": [[sys.executable, "bundle.py"]]})
    return folder


def named(site: Site) -> str:
    (path,) = json.loads(get(site.url, "/")[1])["assets"]
    return str(path)


def test_a_build_command_makes_them_and_one_that_fails_is_taken_back(tmp_path: Path) -> None:
    with serving(bundled(tmp_path / "project", tmp_path / "told")) as site:
        first = named(site)
        assert get(site.url, first)[1] == "body { color: red }\n"
        (site.folder / "source.css").write_text("body { color: blue }\n")
        with traffic(site.url + first) as load:
            receipt = site.deploy()
            assert named(site) != first
            (site.folder / "source.css").write_text("BROKEN\n")
            outcome = site.segue("deploy", "--json")
        demand_no_loss(load)
        assert outcome.code == 1
        assert outcome.document["error"]["kind"] == "static"
        assert "ended with status 1" in outcome.document["error"]["message"]
        assert outcome.document["error"]["evidence"].endswith("source.css:1: unexpected BROKEN")
        assert step(outcome.document, "static")["status"] == "failed"
        assert site.live().name == receipt["generation"]
        dry = site.segue("deploy", "--dry-run").out
        assert "bundle.py" in dry


@pytest.mark.soak
def test_the_keeper_is_killed_in_the_middle_and_nothing_half_is_left(tmp_path: Path) -> None:
    with serving(bundled(tmp_path / "project", tmp_path / "told")) as site:
        first, live = named(site), site.live().name
        (site.folder / "source.css").write_text("body { color: SLOW }\n")
        with traffic(site.url + first) as load:
            asker = site.ask("deploy")
            until((tmp_path / "told").exists, what="the build command")
            assert site.home.read_record().phase == "static"
            site.controller().signal(signal.SIGKILL)
            until(lambda: site.home.read_record().phase == "rest", what="rest")
            asker.communicate(timeout=60)
            assert site.live().name == live
            (site.folder / "source.css").write_text("body { color: green }\n")
            until(lambda: site.segue("deploy").code == 0, what="a deploy")
        demand_no_loss(load)
        assert get(site.url, named(site))[1] == "body { color: green }\n"


ENVIRON = {**os.environ, "SECRET_KEY": "of a test", "SERVES_ITSELF": "1"}


def a_django(folder: Path, version: str) -> None:
    for name, text in django_files(version).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.soak
def test_django_s_are_collected_and_its_manifest_goes_with_the_release(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    a_django(folder, "v1")
    write_config(folder, {"folder": "staticfiles"}, migrate=False)
    with serving(folder, env=ENVIRON) as site:
        with visitors(site.url) as visits:
            a_django(folder, "v2")
            receipt = site.deploy()
        demand_content(visits)
        assert visits.pages.keys() == {"v1", "v2"}
        # app.css, its fingerprinted form, and staticfiles.json
        assert step(receipt, "static")["detail"] == "3 files, 1 fingerprinted; 1 of other releases kept"
        release = site.home.release(receipt["release"])
        assert not os.stat(release / "staticfiles").st_mode & 0o022
        assert not (folder / "staticfiles").exists()


@pytest.mark.soak
def test_a_static_root_elsewhere_and_a_folder_that_is_not_there_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    a_django(folder, "v1")
    write_config(folder, {"folder": "staticfiles"}, migrate=False)
    with serving(folder, env=ENVIRON) as site:
        write_config(folder, {"folder": "assets"}, migrate=False)
        elsewhere = site.segue("deploy", "--json").document["error"]
        assert elsewhere["message"] == "Django's STATIC_ROOT is not the folder that [static] names."
        assert "STATIC_ROOT: staticfiles\nfolder: assets" in elsewhere["evidence"]
        write_config(folder, {"folder": "nowhere", "collect": False}, migrate=False)
        missing = site.segue("deploy", "--json").document["error"]
        assert missing["message"] == "The release has no folder nowhere with static files."
        write_config(folder, {"folder": "out", "collect": ["sh", "-c", "echo no; exit 3"]}, migrate=False)
        collect = site.segue("deploy", "--json").document["error"]
        assert collect["message"].endswith("`sh` ended with status 3.")
        write_config(
            folder, {"folder": "out", "collect": ["sh", "-c", "echo hello > out/a.txt"]}, migrate=False
        )
        release = site.home.release(site.deploy()["release"])
        found = Statics.read(release)
        assert found is not None
        assert found.own == {"a.txt"}, (release / MANIFEST).read_text()
