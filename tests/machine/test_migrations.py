"""Migrations on a real server: as the app's user, in the sandbox of its unit, under load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.bad import demand_good_error
from tests.support.machine.host import CHECKOUT
from tests.support.machine.served import Served, served
from tests.support.site import demand_no_loss, until
from tests.support.store import (
    ADDS_TITLE,
    BY_BOTH,
    BY_TITLE,
    DROPS_NAME,
    RATE,
    RENAMES,
    ask_by,
    make_store,
    revision_text,
    step,
)

# a virtual environment with SQLAlchemy in it for each change of requirements.txt
pytestmark = pytest.mark.timeout(900)
DATA = "/srv/shop/shared/instance"
SETTINGS = {"standby": "1s"}
REQUIREMENTS = "flask\nflask-migrate\nflask-sqlalchemy\ngunicorn\n"
# it is read once, and then run: the last word counts
TELLS = f'open("{DATA}/who", "w").write(open("/proc/self/status").read())'
ASK = f"import sqlite3, sys; print(sqlite3.connect('{DATA}/store.db').execute(sys.argv[1]).fetchall())"


@dataclass
class Shop:
    """The shop with its migrations on a host.

    Attributes:
        app: the app.
        folder: the project, as it is here.
    """

    app: Served
    folder: Path

    def revise(self, name: str, down: str, *body: str, phase: str = "") -> None:
        """Put that revision into the deploy user's checkout."""
        self.commit(name, {f"migrations/versions/{name}_.py": revision_text(name, down, *body, phase=phase)})

    def commit(self, version: str, files: dict[str, str] | None = None) -> None:
        """Commit the project with `files` over it."""
        self.app.edit(version, files={**files_of(self.folder), **(files or {})}, settings=SETTINGS)

    def ask(self, query: str) -> str:
        """What the database answers."""
        return self.app.host.run("python3", "-c", ASK, query).out.strip()

    def revision(self) -> str:
        """The revision of the database."""
        return self.ask("SELECT version_num FROM alembic_version")


def files_of(folder: Path) -> dict[str, str]:
    """All that the project in `folder` has, but for its config."""
    found = (path for path in folder.rglob("*") if path.suffix in {".py", ".json", ".ini", ".mako"})
    files = {str(path.relative_to(folder)): path.read_text() for path in found}
    return {**files, "requirements.txt": REQUIREMENTS}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One server for all; each test leaves it at rest."""
    folder = tmp_path_factory.mktemp("machine") / "store"
    make_store(folder)
    with served(files=files_of(folder), settings=SETTINGS) as app:
        yield Shop(app, folder)


def refused(shop: Shop, revision: str, *words: str) -> dict[str, Any]:
    """Why a deploy of `revision` under load was; it leaves everything as it was."""
    until(shop.app.is_quiet, what="the end of what was before")
    before, at = shop.app.look(), shop.revision()
    with shop.app.traffic(rate=RATE) as load:
        error: dict[str, Any] = shop.app.ask("deploy", *words, code=1)["error"]
    demand_no_loss(load)
    demand_good_error(error)
    until(lambda: shop.app.look() == before, what=f"{before}, instead of {shop.app.look()},")
    assert shop.revision() == at
    assert revision in error["evidence"]
    shop.app.host.run("rm", f"{CHECKOUT}/migrations/versions/{revision}_.py")
    return error


def test_the_apps_user_migrates_in_its_sandbox(shop: Shop) -> None:
    """The database is its own; it has the unit's filter of system calls, and no way to more rights."""
    ask_by(shop.folder, BY_BOTH)
    shop.revise("second", "first", TELLS, ADDS_TITLE)
    with shop.app.traffic(rate=RATE) as load:
        assert step(shop.app.ask("deploy")) == "1 migration: second expand"
    demand_no_loss(load)
    assert shop.revision() == "[('second',)]"
    told = dict(line.split(":", 1) for line in shop.app.host.read(f"{DATA}/who").splitlines())
    uid = shop.app.host.run("id", "-u", "shop").out.strip()
    assert told["Uid"].split() == [uid] * 4
    assert (told["NoNewPrivs"].strip(), told["Seccomp"].strip()) == ("1", "2")
    assert int(told["CapBnd"], 16) == 0
    for file in ("store.db", "store.db.migrating"):
        assert shop.app.host.run("stat", "-c", "%U", f"{DATA}/{file}").out.strip() == "shop"


def test_a_naive_rename_is_refused_and_nothing_is_touched(shop: Shop) -> None:
    shop.revise("naive", "second", RENAMES)
    error = refused(shop, "naive")
    assert (error["kind"], "renames the column item.name" in error["message"]) == ("contract", True), error


def test_a_migration_that_fails_takes_the_deploy_back(shop: Shop) -> None:
    shop.revise("fails", "second", 'op.add_column("no_such_table", sa.Column("a", sa.Integer))')
    error = refused(shop, "fails")
    assert error["kind"] == "migration"
    assert "the database is at second now, and was at second" in error["message"]


def test_a_contract_runs_once_the_old_generation_has_stopped_and_bars_the_way_back(shop: Shop) -> None:
    """Nothing is kept warm for a rollback that is refused from then on."""
    ask_by(shop.folder, BY_TITLE)
    shop.commit("titled")
    shop.app.ask("deploy")
    shop.revise("third", "second", DROPS_NAME, phase="post")
    with shop.app.traffic(rate=RATE) as load:
        receipt = shop.app.ask("deploy")
        assert step(receipt, "contract") == "1 migration: third contract"
        assert (shop.revision(), shop.app.record().get("standby")) == ("[('third',)]", None)
        until(shop.app.is_quiet, what="the end of the old generation")
        before = shop.app.look()
        error = shop.app.ask("rollback", code=3)["error"]
    demand_no_loss(load)
    assert error["kind"] == "contract"
    assert receipt["release"] in error["evidence"]
    until(lambda: shop.app.look() == before, what="nothing touched")
