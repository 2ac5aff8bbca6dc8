"""What the old code can't live with: it runs once that has stopped, and what goes wrong with it is said."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.support.bad import demand_shown, demand_untouched
from tests.support.postgres import Cluster, cluster
from tests.support.site import Site, demand_no_loss, serving, traffic, until
from tests.support.store import (
    ADDS_TITLE,
    BY_ANY,
    DROPS_NAME,
    RATE,
    RENAMES,
    add_revision,
    ask_by,
    environment,
    make_store,
    revision_of,
    step,
)

DEADLINE = pytest.mark.timeout(600)

DROPS_WHAT_IS_NOT = 'op.drop_column("item", "nothing")'
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER%'"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Cluster]:
    """One cluster for all; each test has a database of its own."""
    with cluster() as found:
        yield found


def states(receipt: dict[str, Any]) -> dict[str, str]:
    """How each step went."""
    return {one["name"]: one["status"] for one in receipt["steps"]}


@DEADLINE
def test_a_contract_runs_once_the_old_code_has_stopped(tmp_path: Path) -> None:
    """The old code would break on it, the new one lives with both: only the order keeps requests safe."""
    folder = tmp_path / "store"
    make_store(folder)
    with serving(folder) as site:
        add_revision(folder, "second", "first", RENAMES)
        ask_by(folder, BY_ANY)
        with traffic(f"{site.url}/", rate=RATE) as load:
            receipt = site.deploy("--allow-contract")
        demand_no_loss(load)
        assert step(receipt, "contract") == "1 migration: second contract"
        assert revision_of(folder) == "second"
        assert demand_untouched(folder, 3, "rollback")["kind"] == "contract"


@DEADLINE
@pytest.mark.soak
def test_with_the_refusal_overridden_the_old_code_is_seen_to_fail(tmp_path: Path, postgres: Cluster) -> None:
    """The same, run before: so the danger is real. The live release is found unhealthy, and it is said."""
    folder = tmp_path / "store"
    make_store(folder)
    with serving(folder, env=environment(postgres.make("danger"))) as site:
        add_revision(folder, "naive", "first", RENAMES, phase="pre")
        ask_by(folder, BY_ANY)
        with traffic(f"{site.url}/", rate=RATE) as load:
            outcome = site.segue("deploy", "--json")
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
@pytest.mark.soak
def test_a_contract_that_postgresql_undid_is_a_note(tmp_path: Path, postgres: Cluster) -> None:
    """The new release lives with the database as it was, and so does the old one: a rollback is free."""
    folder = tmp_path / "store"
    make_store(folder)
    with serving(folder, env=environment(postgres.make("undone"))) as site:
        add_revision(folder, "second", "first", DROPS_NAME, DROPS_WHAT_IS_NOT, phase="post")
        ask_by(folder, BY_ANY)
        with traffic(f"{site.url}/", rate=RATE) as load:
            receipt = site.deploy()
            assert states(receipt)["contract"] == "failed"
            (note,) = (note for note in receipt["notes"] if note.startswith("after the commit: "))
            assert "the database undid it: it is at first, as before. at migrations/versions/second" in note
            assert f"the next deploy finds it pending, and {receipt['release']} serves." in note
            assert site.segue("rollback").code == 0
        demand_no_loss(load)


@DEADLINE
@pytest.mark.soak
def test_a_contract_that_nothing_undid_needs_somebody_to_look(tmp_path: Path) -> None:
    """Exit code 5, and the new release serves on: there is no way back."""
    folder = tmp_path / "store"
    make_store(folder)
    with serving(folder) as site:
        add_revision(folder, "second", "first", DROPS_NAME, DROPS_WHAT_IS_NOT, phase="post")
        ask_by(folder, BY_ANY)
        with traffic(f"{site.url}/", rate=RATE) as load:
            outcome = site.segue("deploy", "--json")
            assert outcome.code == 5, outcome
            assert demand_untouched(folder, 3, "rollback")["kind"] == "contract"
        demand_no_loss(load)
        receipt = outcome.document
        assert site.live().name == receipt["generation"]
        message = receipt["error"]["message"]
        assert message.startswith(f"{receipt['release']} is live, and its contract went wrong.")
        assert "the database is at first now, and was at first; what it did before that stays" in message
        shown = site.segue("receipt", receipt["generation"])
        assert f"{receipt['release']} is live, and its database needs you; 0 requests lost" in shown.out
        demand_shown(receipt["error"], shown.err)


def held(connection: psycopg.Connection) -> None:
    """Begin what takes long in `connection`: until it ends nobody alters the table."""
    connection.execute("BEGIN")
    connection.execute("LOCK TABLE item IN ACCESS SHARE MODE")


@pytest.mark.soak
@DEADLINE
def test_a_migration_that_has_to_wait_for_a_table_keeps_nobody_else_waiting(
    tmp_path: Path, postgres: Cluster
) -> None:
    """It gives up its place in the queue after a second, and tries again until it gets the table."""
    folder = tmp_path / "store"
    make_store(folder)
    with (
        serving(folder, env=environment(postgres.make("held"))) as site,
        postgres.connect("held") as long,
        postgres.connect("held") as eye,
    ):
        held(long)
        add_revision(folder, "second", "first", ADDS_TITLE)
        with traffic(f"{site.url}/", rate=RATE) as load:
            asker = site.ask("deploy", "--json")
            for _ in range(3):
                until(lambda: _waits(eye), what="a migration that waits for the table")
                until(lambda: not _waits(eye), what="its giving up")
            long.execute("ROLLBACK")
            out, err = asker.communicate(timeout=180)
        assert asker.returncode == 0, f"{out}\n{err}"
        demand_no_loss(load)
        # who came after it waited behind it, but not for the transaction
        assert load.report["longest_gap_ms"] < 2500, load.report


def _waits(eye: psycopg.Connection) -> bool:
    found = eye.execute(WAITS).fetchone()
    return found is not None and found[0] > 0


@DEADLINE
@pytest.mark.soak
def test_after_ctrl_c_in_a_contract_that_was_undone_a_rollback_is_free(
    tmp_path: Path, postgres: Cluster
) -> None:
    """What is asked is the database, not what was to be done."""
    folder = tmp_path / "store"
    make_store(folder)
    with (
        serving(folder, env=environment(postgres.make("ctrlc"))) as site,
        postgres.connect("ctrlc") as long,
        postgres.connect("ctrlc") as eye,
    ):
        site.deploy()
        held(long)
        add_revision(folder, "second", "first", DROPS_NAME, phase="pre")
        with traffic(f"{site.url}/", rate=RATE) as load:
            receipt = _interrupted_while_it_waits(site, eye)
            assert "interrupted in a migration: the database undid it" in receipt["notes"]
            assert site.segue("rollback").code == 0
        demand_no_loss(load)
        long.execute("ROLLBACK")


def _interrupted_while_it_waits(site: Site, eye: psycopg.Connection) -> dict[str, Any]:
    asker = site.ask("deploy", "--json")
    until(lambda: _waits(eye), what="a migration that waits for the table")
    asker.send_signal(signal.SIGINT)
    out, err = asker.communicate(timeout=180)
    assert asker.returncode == 130, f"{out}\n{err}"
    until(site.at_rest, what="rest")
    return site.segue("receipt", "--json").document


@DEADLINE
@pytest.mark.soak
def test_a_contract_whose_executor_dies_is_left_to_the_next_deploy(tmp_path: Path, postgres: Cluster) -> None:
    """It ends with its executor, and the new release, which is committed, serves on without it."""
    folder = tmp_path / "store"
    make_store(folder)
    with (
        serving(folder, env=environment(postgres.make("dies"))) as site,
        postgres.connect("dies") as long,
        postgres.connect("dies") as eye,
    ):
        held(long)
        add_revision(folder, "second", "first", DROPS_NAME, phase="post")
        ask_by(folder, BY_ANY)
        with traffic(f"{site.url}/", rate=RATE) as load:
            with site.ask("deploy", "--json") as asker:
                until(lambda: _waits(eye), what="a contract that waits for the table")
                candidate, controller = site.live().name, site.controller()
                controller.signal(signal.SIGKILL)
                asker.communicate(timeout=60)
            until(lambda: site.controller() != controller and site.at_rest(), what="rest")
            until(lambda: not _waits(eye), what="the end of what waits for the table")
            assert eye.execute("SELECT version_num FROM alembic_version").fetchone() == ("first",)
            receipt = site.segue("receipt", candidate, "--json").document
            assert (receipt["error"]["kind"], site.live().name) == ("executor_died", candidate)
            assert any("it may have migrated the database" in note for note in receipt["notes"])
            long.execute("ROLLBACK")
            assert step(site.deploy(), "contract") == "1 migration: second contract"
        demand_no_loss(load)
