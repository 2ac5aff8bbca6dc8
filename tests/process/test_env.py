"""The env contract under the embedded keeper: names are told, values never; a refusal touches nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.bad import demand_untouched
from tests.support.site import Site, configure, demand_no_loss, segue, serving, traffic

from segue.disk.home import Home

KEEPERS, FIRST, SECOND = "secret-of-the-keeper-1", "secret-in-the-file-2", "secret-in-the-file-3"
ENV = 'SECRET_KEY = "secret"\nDATABASE_URL = "url"\nPORT = "int?"\n'


def demand(folder: Path, *, env: str = "", example: str = "", file: str = "") -> None:
    """Have the project demand the keys of `env` and `example`, and set those of `file`."""
    configure(folder)
    with (folder / "segue.toml").open("a") as config:
        config.write(f"[env]\n{env}")
    (folder / ".env.example").write_text(example)
    (folder / ".env").write_text(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = (tmp_path / "project").resolve()
    make_app(folder, version="v1")
    configure(folder)
    return folder


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    demand(folder, env=ENV, file=f"DATABASE_URL=sqlite:///{FIRST}.db\nPORT=8000\n")
    with serving(folder, env={**os.environ, "SECRET_KEY": KEEPERS}) as site:
        yield site


def demand_no_value(site: Site, *texts: str) -> None:
    """None of the values is in `texts`, in what the keeper printed, or in anything that it keeps."""
    kept = [
        path.read_text(errors="replace")
        for path in site.home.root.rglob("*")
        if path.is_file() and path.name != ".env"
    ]
    for text in (*texts, *kept, site.keeper_log()):
        assert not [value for value in (KEEPERS, FIRST, SECOND) if value in text], text


def test_what_the_environment_lacks_is_refused_while_traffic_goes_on(site: Site) -> None:
    demand(site.folder, env=ENV, example="MAIL_FROM=\n", file=f"DATABASE_URL={SECOND}\nPORT=x{SECOND}\n")
    with traffic(f"{site.url}/") as load:
        for words in (("deploy",), ("deploy", "--dry-run")):
            error = demand_untouched(site.folder, 3, *words)
            assert (error["kind"], error["message"]) == ("env", "The environment is not as the app needs it.")
            assert error["evidence"].splitlines() == [
                "MAIL_FROM: is missing, and .env.example names it",
                "DATABASE_URL: is no URL: SCHEME://..., without spaces",
                "PORT: is no whole number",
            ]
            assert f"set it in {site.folder}/.env, or start `segue up` with it" in error["hint"]
            assert 'MAIL_FROM = "text?"' not in error["hint"]
            demand_no_value(site, str(error))
    demand_no_loss(load)


def test_only_the_names_of_what_is_new_are_told(site: Site) -> None:
    before = site.live()
    demand(
        site.folder,
        env=ENV,
        example="MAIL_FROM=me\n",
        file=f"DATABASE_URL=sqlite:///{SECOND}.db\nMAIL_FROM=\nMIIEvQIBADANBgkq=\n",
    )
    told = f"in the environment since {before.name} started: MAIL_FROM, 1 with odd names added; "
    told += "DATABASE_URL changed; PORT removed"
    planned = site.segue("deploy", "--dry-run")
    assert planned.code == 0
    keys = "MAIL_FROM, SECRET_KEY, DATABASE_URL, PORT: as the app needs them"
    assert f"  env      {keys}; {told}\n" in planned.out
    with traffic(f"{site.url}/") as load:
        shown = site.segue("deploy")
    demand_no_loss(load)
    assert told in shown.out
    receipt = site.segue("receipt", "--json").document
    assert told in receipt["notes"]
    assert receipt["steps"][0]["name"] == "env"
    assert told.endswith(f": {receipt['changes']['env']}")
    again = site.segue("restart", "--json")
    assert again.document["notes"] == []
    demand_no_value(site, planned.out, planned.err, shown.out, shown.err, again.out, again.err)
    assert site.live().folder.joinpath("env.json").stat().st_mode & 0o777 == 0o600


def test_a_release_that_is_on_disk_goes_by_its_own_contract(site: Site) -> None:
    make_app(site.folder, version="v2")
    demand(site.folder, env=ENV + 'NEW = "text"\n', file="DATABASE_URL=sqlite://\nNEW=1\n")
    needy = site.deploy()["release"]
    demand(site.folder, file="DATABASE_URL=sqlite://\n")
    assert demand_untouched(site.folder, 3, "restart")["evidence"] == "NEW: is missing"
    with traffic(f"{site.url}/") as load:
        assert site.segue("rollback").code == 0
    demand_no_loss(load)
    demand(site.folder)
    error = demand_untouched(site.folder, 3, "rollback", "--to", needy)
    assert error["evidence"].splitlines() == [
        "DATABASE_URL: is missing",
        "NEW: is missing",
    ]


def test_a_first_release_without_its_environment_does_not_begin(folder: Path) -> None:
    demand(
        folder,
        example=f"SECRET_KEY={FIRST}\nDEBUG=1 # or 0\n",
        env='SECRET_KEY = "secret"\n',
        file=f"SECRET_KEY={FIRST}",
    )
    refused = segue(folder, "up", "--bind", "127.0.0.1:0")
    assert (refused.code, Home(folder).releases()) == (3, []), refused
    assert "  SECRET_KEY: still has the value of .env.example\n" in refused.err
    assert "  DEBUG: is missing, and .env.example names it\n" in refused.err
    assert 'KEY = "text?" under [env] of segue.toml' in refused.err
    assert FIRST not in refused.err
