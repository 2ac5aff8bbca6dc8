"""Migrations in a deploy, under load: what the old code can live with runs, and nothing else does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.bad import demand_untouched, deploy_refused
from tests.support.notes import add_migration, make_notes
from tests.support.postgres import Cluster, cluster
from tests.support.site import Site, demand_no_loss, serving, traffic
from tests.support.store import (
    ADDS_TITLE,
    BY_BOTH,
    BY_TITLE,
    DROPS_NAME,
    RENAMES,
    add_revision,
    ask_by,
    environment,
    make_store,
)

# each answer is a question to a database, and what is looked for is a loss, not the most that it can do
RATE = 20
DEADLINE = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Cluster]:
    """One cluster for all; each test has a database of its own."""
    with cluster() as found:
        yield found


def step(receipt: dict[str, Any]) -> str:
    """What the step `migrate` has to say."""
    (found,) = (one["detail"] for one in receipt["steps"] if one["name"] == "migrate")
    return str(found)


def revision_of(folder: Path) -> str:
    """The revision of the SQLite database that the project has."""
    with closing(sqlite3.connect(folder / "instance" / "store.db")) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)


@DEADLINE
def test_a_column_is_renamed_over_three_deploys_and_nobody_notices(tmp_path: Path) -> None:
    """Expand, deploy, contract on SQLite; what would break the old code is refused at each turn."""
    folder = tmp_path / "store"
    make_store(folder)
    with serving(folder) as site:
        naive = add_revision(folder, "naive", "first", RENAMES)
        _demand_contract_refused(site, "naive", "renames the column item.name")
        naive.unlink()
        with traffic(f"{site.url}/", rate=RATE) as load:
            add_revision(folder, "second", "first", ADDS_TITLE)
            ask_by(folder, BY_BOTH)
            expanded = site.deploy()
            assert step(expanded) == "1 migration: second expand"
            with closing(sqlite3.connect(folder / "instance" / "store.db")) as connection, connection:
                connection.execute("UPDATE item SET title = name WHERE title IS NULL")
            ask_by(folder, BY_TITLE)
            assert step(site.deploy()) == "nothing to migrate"
            add_revision(folder, "third", "second", DROPS_NAME)
            contracted = site.deploy("--allow-contract")
        demand_no_loss(load)
        assert step(contracted) == "1 migration: third contract"
        assert any("drops the column item.name" in note for note in contracted["notes"])
        assert revision_of(folder) == "third"
        error = demand_untouched(folder, 3, "rollback")
        assert error["kind"] == "contract"
        assert contracted["release"] in error["evidence"]
        error = demand_untouched(folder, 3, "rollback", "--to", expanded["release"])
        assert error["kind"] == "contract"


def _demand_contract_refused(site: Site, revision: str, why: str) -> None:
    refused = deploy_refused(site, rate=RATE)
    assert refused.error["kind"] == "contract"
    assert f"{revision}_.py:" in refused.error["evidence"]
    assert why in refused.error["message"]
    assert "three deploys" in refused.error["hint"]
    assert revision_of(site.folder) == "first"


@DEADLINE
def test_bad_migrations_are_refused_before_anything_is_changed(tmp_path: Path) -> None:
    """Two heads, unreadable SQL, a failure half-way on SQLite, a database that is ahead."""
    folder = tmp_path / "store"
    make_store(folder)
    with serving(folder) as site:
        one = add_revision(folder, "one", "first", ADDS_TITLE)
        other = add_revision(folder, "other", "first", 'op.create_table("other")')
        error = deploy_refused(site, rate=RATE).error
        assert (error["kind"], sorted(error["evidence"].split())) == ("heads", ["one", "other"])
        assert "flask db merge heads" in error["hint"]
        other.unlink()
        add_revision(folder, "one", "first", 'op.execute("DROP TABLE item")')
        assert deploy_refused(site, rate=RATE).error["kind"] == "unreadable"
        one.unlink()
        half = add_revision(folder, "half", "first", ADDS_TITLE, ADDS_TITLE)
        refused = deploy_refused(site, rate=RATE)
        assert refused.error["kind"] == "migration"
        assert (
            "the database is at first now, and was at first; what it did before" in refused.error["message"]
        )
        assert "half_.py:" in refused.error["evidence"]
        half.unlink()
        with closing(sqlite3.connect(folder / "instance" / "store.db")) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = 'later'")
        error = deploy_refused(site, rate=RATE).error
        assert (error["kind"], error["evidence"]) == ("database_ahead", "database: later\nrelease: first")


@DEADLINE
@pytest.mark.soak
def test_with_the_refusal_overridden_the_old_code_is_seen_to_fail(tmp_path: Path, postgres: Cluster) -> None:
    """So the danger is real: the live release is found unhealthy, and the receipt says that it stays so."""
    folder = tmp_path / "store"
    make_store(folder)
    with serving(folder, env=environment(postgres.make("danger"))) as site:
        add_revision(folder, "naive", "first", RENAMES)
        ask_by(folder, BY_TITLE)
        with traffic(f"{site.url}/", rate=RATE) as load:
            outcome = site.segue("deploy", "--json", "--allow-contract")
        assert outcome.code == 1
        assert load.lost > 0
        receipt = outcome.document
        assert receipt["error"]["kind"] == "live_broken"
        assert "the migration stays" in receipt["error"]["message"]
        assert "answer: 500" in receipt["error"]["evidence"]
        assert "the database is not taken back, and keeps 1 migration: naive contract" in receipt["notes"]
        # the way forward: it mends what serves
        assert step(site.deploy()) == "nothing to migrate"


@DEADLINE
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
def test_on_postgresql_a_column_is_renamed_over_three_deploys(tmp_path: Path, postgres: Cluster) -> None:
    """The long form, with writes; the naive rename is refused there, too."""
    folder = tmp_path / "store"
    make_store(folder)
    with serving(folder, env=environment(postgres.make("rename"))) as site:
        naive = add_revision(folder, "naive", "first", RENAMES)
        assert deploy_refused(site, rate=RATE).error["kind"] == "contract"
        naive.unlink()
        with traffic(f"{site.url}/", rate=RATE) as load:
            ask_by(folder, BY_BOTH)
            add_revision(folder, "second", "first", ADDS_TITLE)
            assert step(site.deploy()) == "1 migration: second expand"
            with postgres.connect("rename") as connection:
                connection.execute("UPDATE item SET title = name WHERE title IS NULL")
            ask_by(folder, BY_TITLE)
            site.deploy()
            add_revision(folder, "third", "second", DROPS_NAME)
            assert step(site.deploy("--allow-contract")) == "1 migration: third contract"
        demand_no_loss(load)


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
@pytest.mark.parametrize("refused", [ON_DJANGO[:1], pytest.param(ON_DJANGO[1:], marks=pytest.mark.soak)])
def test_django_s_migrations_go_by_the_same_rules(
    tmp_path: Path, refused: list[tuple[str, str, str]]
) -> None:
    """An expand runs under load; a contract is refused with its line, and so is what can't be read."""
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
        with traffic(f"{site.url}/", rate=RATE) as load:
            assert step(site.deploy()) == "1 migration: notes.0002_second expand"
        demand_no_loss(load)
