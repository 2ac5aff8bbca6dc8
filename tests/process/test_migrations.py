"""Migrations in a deploy, under load: what the old code can live with runs, and nothing else does."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.bad import demand_untouched, deploy_refused
from tests.support.notes import add_migration, count_by, make_notes
from tests.support.postgres import Cluster, cluster
from tests.support.site import Site, demand_no_loss, serving, traffic
from tests.support.store import (
    ADDS_TITLE,
    BY_BOTH,
    BY_TITLE,
    DROPS_NAME,
    FILLS_TITLE,
    RATE,
    RENAMES,
    add_revision,
    ask_by,
    environment,
    make_fast_store,
    make_store,
    revision_of,
    step,
)
from tests.support.table import often

from segue.proof.spec import Shot

DEADLINE = pytest.mark.timeout(600)
VISITORS = (Shot(), Shot("POST", "/items?name=item-{n}"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[Cluster]:
    """One cluster for all; each test has a database of its own."""
    with cluster() as found:
        yield found


@dataclass(frozen=True)
class Database:
    """A database of the shop's.

    Attributes:
        url: where it is, as SQLAlchemy has it.
        ask: the first column of what a query gives there.
    """

    url: str
    ask: Callable[[str], list[Any]]


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A new one of the kind that the test asks for."""
    if request.param == "sqlite":
        file = tmp_path / "store.db"

        def ask_sqlite(query: str) -> list[Any]:
            with closing(sqlite3.connect(file)) as connection:
                return [row[0] for row in connection.execute(query)]

        return Database(f"sqlite:///{file}", ask_sqlite)
    found: Cluster = request.getfixturevalue("postgres")
    name = tmp_path.name

    def ask_postgresql(query: str) -> list[Any]:
        with found.connect(name) as connection:
            return [row[0] for row in connection.execute(query.encode())]

    return Database(found.make(name), ask_postgresql)


@DEADLINE
@pytest.mark.soak
@pytest.mark.parametrize("make", [make_store, make_fast_store])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_the_shop_goes_through_four_versions_and_nobody_notices(
    tmp_path: Path, database: Database, make: Callable[[Path], None]
) -> None:
    """A column is renamed: expand, fill, contract. The naive way is refused, and so is the way back."""
    folder = tmp_path / "store"
    make(folder)
    with serving(folder, env=environment(database.url)) as site:
        naive = add_revision(folder, "naive", "first", RENAMES)
        _demand_contract_refused(site, "naive", "renames the column item.name")
        naive.unlink()
        with traffic(f"{site.url}/", rate=RATE, shots=VISITORS) as load:
            add_revision(folder, "second", "first", ADDS_TITLE)
            ask_by(folder, BY_BOTH)
            expanded = site.deploy()
            add_revision(folder, "third", "second", FILLS_TITLE, phase="pre")
            ask_by(folder, BY_TITLE)
            filled = site.deploy()
            fourth = add_revision(folder, "fourth", "third", DROPS_NAME, phase="post")
            contracted = site.deploy()
        demand_no_loss(load)
        _demand_stored(database, load.report)
        assert step(expanded) == "1 migration: second expand"
        assert step(filled) == "1 migration: third unreadable"
        assert step(contracted, "contract") == "1 migration: fourth contract"
        names = [one["name"] for one in contracted["steps"]]
        assert names.index("drain") < names.index("contract")
        told = f"once {contracted['previous']} has stopped: {fourth.relative_to(folder)}:"
        assert any(note.startswith(told) for note in contracted["notes"]), contracted["notes"]
        for words in (("rollback",), ("rollback", "--to", expanded["release"])):
            error = demand_untouched(folder, 3, *words)
            assert error["kind"] == "contract"
            assert contracted["release"] in error["evidence"]


def _demand_stored(database: Database, report: dict[str, Any]) -> None:
    """The second witness: each item that was answered for is there once, by its new name."""
    titles = database.ask("SELECT title FROM item")
    assert len(set(titles)) == len(titles) == report["statuses"]["201"]
    assert all(title.startswith("item-") for title in titles)
    assert database.ask("SELECT version_num FROM alembic_version") == ["fourth"]


def _demand_contract_refused(site: Site, revision: str, why: str) -> None:
    refused = deploy_refused(site, rate=RATE)
    assert refused.error["kind"] == "contract"
    assert f"{revision}_.py:" in refused.error["evidence"]
    assert why in refused.error["message"]
    assert "three deploys" in refused.error["hint"]


@dataclass(frozen=True)
class Bad:
    """Revisions that are refused, by their names and what they do; and in which words."""

    revisions: tuple[tuple[str, str, tuple[str, ...], str], ...]
    kind: str
    told: str
    words: tuple[str, ...] = ()


BAD = {
    "half-way": Bad(
        (("half", "first", (ADDS_TITLE, ADDS_TITLE), ""),),
        "migration",
        "the database is at first now, and was at first; what it did before that stays",
    ),
    "heads": Bad(
        (("one", "first", (ADDS_TITLE,), ""), ("other", "first", ('op.create_table("other")',), "")),
        "heads",
        "have 2 heads",
    ),
    "unreadable": Bad(
        (("one", "first", ('op.execute("DROP TABLE item")',), ""),), "unreadable", "runs SQL of its own"
    ),
    "order": Bad(
        (("one", "first", (DROPS_NAME,), ""), ("two", "one", (ADDS_TITLE,), "")),
        "order",
        "Revision two is for before the switch, and comes after one, which runs once",
        ("--allow-contract",),
    ),
    "phase": Bad((("one", "first", (DROPS_NAME,), "psot"),), "phase", "has the phase 'psot'"),
}


@DEADLINE
@pytest.mark.parametrize("name", often(BAD, "half-way"))
def test_bad_migrations_are_refused_and_nobody_notices(tmp_path: Path, name: str) -> None:
    """Before anything is changed; or half-way on SQLite, and that is said."""
    folder, bad = tmp_path / "store", BAD[name]
    make_store(folder)
    with serving(folder) as site:
        for revision, down, body, phase in bad.revisions:
            add_revision(folder, revision, down, *body, phase=phase)
        error = deploy_refused(site, *bad.words, rate=RATE).error
    assert (error["kind"], bad.told in error["message"]) == (bad.kind, True), error
    assert bad.revisions[0][0] in error["evidence"]
    assert revision_of(folder) == "first"


@DEADLINE
@pytest.mark.soak
def test_a_database_that_is_ahead_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    make_store(folder)
    with serving(folder) as site:
        with closing(sqlite3.connect(folder / "instance" / "store.db")) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = 'later'")
        error = deploy_refused(site, rate=RATE).error
    assert (error["kind"], error["evidence"]) == ("database_ahead", "database: later\nrelease: first")


@DEADLINE
@pytest.mark.soak
def test_postgresql_undoes_what_failed_half_way(tmp_path: Path, postgres: Cluster) -> None:
    """And it says so; the second try is good."""
    folder = tmp_path / "store"
    make_store(folder)
    with serving(folder, env=environment(postgres.make("half"))) as site:
        add_revision(folder, "second", "first", ADDS_TITLE)
        add_revision(folder, "half", "second", 'op.add_column("no_such_table", sa.Column("a", sa.Integer))')
        error = deploy_refused(site, rate=RATE).error
        assert "the database undid it: it is at first, as before." in error["message"]
        assert "half_.py:" in error["evidence"]
        add_revision(folder, "half", "second", 'op.add_column("item", sa.Column("a", sa.Integer))')
        with traffic(f"{site.url}/", rate=RATE) as load:
            assert step(site.deploy()) == "2 migrations: second expand, half expand"
        demand_no_loss(load)


@DEADLINE
@pytest.mark.soak
def test_of_two_deploys_at_once_one_migrates(tmp_path: Path, postgres: Cluster) -> None:
    """Two projects share a database: the second waits for the first, and finds nothing left to do."""
    database = environment(postgres.make("shared"))
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        make_store(folder)
    with serving(folders[0], env=database) as one, serving(folders[1], env=database) as two:
        for folder in folders:
            # both read it long before either has run it; asleep, it has locked no table yet
            add_revision(folder, "slow", "first", "time.sleep(3)", ADDS_TITLE)
            ask_by(folder, BY_BOTH)
        with traffic(f"{one.url}/", rate=RATE) as first, traffic(f"{two.url}/", rate=RATE) as second:
            askers = [site.ask("deploy", "--json") for site in (one, two)]
            ends = [asker.communicate(timeout=180) for asker in askers]
        assert [asker.returncode for asker in askers] == [0, 0], ends
        demand_no_loss(first)
        demand_no_loss(second)
        told = sorted(step(site.segue("receipt", "--json").document) for site in (one, two))
    assert told == ["1 migration: slow expand", "nothing to migrate: another deploy did meanwhile"]


@DEADLINE
@pytest.mark.soak
def test_a_command_migrates_as_it_says(tmp_path: Path) -> None:
    """It is run as it is; where it fails, its last words are on screen."""
    folder = tmp_path / "store"
    make_store(folder, migrate="flask --app wsgi db upgrade")
    with serving(folder) as site:
        assert revision_of(folder) == "first"
        add_revision(folder, "second", "none", ADDS_TITLE)
        error = deploy_refused(site, rate=RATE).error
        assert error["message"] == "The migration `flask` ended with status 1."


NOTE = '"note", "text"'
ON_DJANGO = [
    (f"migrations.RemoveField({NOTE})", "contract", "drops the field notes.note.text"),
    (f'migrations.RenameField({NOTE}, "title")', "contract", "renames the field notes.note.text"),
    (f"migrations.AlterField({NOTE}, models.IntegerField())", "contract", "changes the type"),
    ('migrations.AddField("note", "by", models.CharField(max_length=9, default=""))', "contract", "not null"),
    ("migrations.RunPython(print)", "unreadable", "runs Python of its own"),
]


@DEADLINE
@pytest.mark.parametrize("refused", often([[], ON_DJANGO], []))
def test_django_s_migrations_go_by_the_same_rules(
    tmp_path: Path, refused: list[tuple[str, str, str]]
) -> None:
    """A contract is refused with its line, and what can't be read; an expand runs, and then what may wait."""
    folder = tmp_path / "notes"
    make_notes(folder)
    with serving(folder) as site:
        for operation, kind, why in refused:
            add_migration(folder, "0002_second", "0001_first", operation)
            error = deploy_refused(site, rate=RATE).error
            assert (error["kind"], why in error["message"]) == (kind, True), error
            assert "notes/migrations/0002_second.py:7: notes.0002_second" in error["evidence"]
        add = 'migrations.AddField("note", "by", models.CharField(max_length=9, null=True))'
        add_migration(folder, "0002_second", "0001_first", add)
        add_migration(folder, "0003_third", "0002_second", f"migrations.RemoveField({NOTE})", phase="post")
        count_by(folder, "by")
        with traffic(f"{site.url}/", rate=RATE) as load:
            receipt = site.deploy()
        demand_no_loss(load)
        assert step(receipt).startswith("1 migration: notes.0002_second expand; once ")
        assert step(receipt, "contract") == "1 migration: notes.0003_third contract"
        assert demand_untouched(folder, 3, "rollback")["kind"] == "contract"
