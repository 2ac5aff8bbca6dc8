"""A revision is read by running it without a database: every way to write one is seen for what it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segue.run.gate.alembic_reading import read_revision
from segue.run.gate.operations import CONTRACT, EXPAND, UNREADABLE

HEAD = "import sqlalchemy as sa\nfrom alembic import op\nfrom alembic.op import execute\n\n\ndef upgrade():\n"
LINE = HEAD.count("\n") + 1
EVENT = 'sa.create_engine("sqlite://").connect().exec_driver_sql("SELECT 1")'
CASES = [
    ('op.add_column("item", sa.Column("title", sa.String))', EXPAND, "adds the column item.title"),
    (
        'op.add_column("item", sa.Column("n", sa.Integer, nullable=False))',
        CONTRACT,
        "without a server default",
    ),
    (
        'op.add_column("item", sa.Column("n", sa.Integer, nullable=False, server_default="0"))',
        EXPAND,
        "item.n",
    ),
    ('op.add_column("item", sa.Column("n", sa.Integer, unique=True))', CONTRACT, "unique"),
    ('op.add_column("item", sa.Column("n", sa.Integer, sa.Computed("1")))', CONTRACT, "rewrites"),
    ('op.alter_column("item", "name", new_column_name="title")', CONTRACT, "renames the column item.name"),
    ('op.alter_column("item", "name", type_=sa.Text)', CONTRACT, "type"),
    ('op.alter_column("item", "name", nullable=False)', CONTRACT, "not null"),
    ('op.alter_column("item", "name", nullable=True, schema="a")', EXPAND, "alters the column item.name"),
    ('op.create_index("ix", "item", ["name"])', CONTRACT, "not concurrently"),
    ('op.create_index("ix", "item", ["name"], unique=True)', CONTRACT, "unique index ix"),
    ('op.create_index("ix", "item", ["name"], postgresql_concurrently=True)', EXPAND, "ix concurrently"),
    ('op.create_unique_constraint("uq", "item", ["name"])', CONTRACT, "unique constraint uq"),
    ('op.create_check_constraint("ck", "item", "id > 0")', CONTRACT, "validates"),
    ('op.create_check_constraint("ck", "item", "id > 0", postgresql_not_valid=True)', EXPAND, "not valid"),
    ('op.create_foreign_key("fk", "item", "shop", ["a"], ["b"])', CONTRACT, "constraint fk and validates"),
    ('op.drop_column("item", "name")', CONTRACT, "drops the column item.name"),
    ('op.drop_table("item")', CONTRACT, "drops the table item"),
    ('op.drop_index("ix")', CONTRACT, "drops the index ix"),
    ('op.drop_constraint("uq", "item")', CONTRACT, "drops the constraint uq of item"),
    ('op.rename_table("item", "thing")', CONTRACT, "renames the table item"),
    ('op.create_table_comment("item", "things")', EXPAND, "comments on item"),
    ('op.execute("DROP TABLE item")', UNREADABLE, "runs SQL of its own"),
    ('execute("DROP TABLE item")', UNREADABLE, "runs SQL of its own"),
    ('op.get_bind().execute("DROP TABLE item")', UNREADABLE, "asks for the connection"),
    ("op.get_context().connection", UNREADABLE, "asks for connection of its context"),
    (EVENT, UNREADABLE, "runs statements of its own"),
    ("1 / 0", UNREADABLE, "can't be read without a database: ZeroDivisionError: division by zero"),
    ('op.bulk_insert(sa.table("item", sa.column("name")), [])', UNREADABLE, "inserts rows into item"),
    ("pass", EXPAND, "changes nothing"),
    (
        (
            'with op.batch_alter_table("item", schema="a") as batch:\n'
            '        batch.alter_column("name", new_column_name="title")'
        ),
        CONTRACT,
        "renames the column item.name",
    ),
    (
        (
            "with op.get_context().autocommit_block():\n"
            '        op.create_index("ix", "item", ["name"], postgresql_concurrently=True)'
        ),
        EXPAND,
        "concurrently",
    ),
    (
        (
            'made = op.create_table("new", sa.Column("id", sa.Integer))\n'
            '    op.bulk_insert(made, [{"id": 1}])\n'
            '    op.create_index("ix", "new", ["id"], unique=True)'
        ),
        EXPAND,
        "creates the table new",
    ),
    (
        "try:\n        op.get_bind()\n    except Exception:\n        pass",
        UNREADABLE,
        "asks for the connection",
    ),
]


def script(folder: Path, body: str) -> Any:
    file = folder / "a1_.py"
    file.write_text(f"{HEAD}    {body}\n")
    spec = importlib.util.spec_from_file_location("a1_", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return SimpleNamespace(path=str(file), module=module)


@pytest.mark.parametrize(("body", "wanted", "why"), CASES)
def test_a_revision_is_read(tmp_path: Path, body: str, wanted: str, why: str) -> None:
    found = read_revision(script(tmp_path, body), "postgresql", set())
    assert (found.worst, why in found.why) == (wanted, True), found.why
    # where a block begins, its worst line is the one in it
    inner = 1 if body.startswith(("with", "try")) else 0
    assert found.line == (0 if body == "pass" else LINE + inner)


@pytest.mark.parametrize(
    ("body", "atomic"),
    [
        ('op.drop_table("item")', True),
        ('with op.get_context().autocommit_block():\n        op.drop_table("item")', False),
    ],
)
def test_what_is_committed_piece_by_piece_is_known(tmp_path: Path, body: str, atomic: bool) -> None:
    assert read_revision(script(tmp_path, body), "postgresql", set()).atomic is atomic


def test_a_table_of_an_earlier_pending_revision_is_new(tmp_path: Path) -> None:
    fresh: set[str] = set()
    read_revision(script(tmp_path, 'op.create_table("new")'), "postgresql", fresh)
    assert fresh == {"new"}
    found = read_revision(script(tmp_path, 'op.create_index("ix", "new", ["id"])'), "postgresql", fresh)
    assert found.worst == EXPAND
