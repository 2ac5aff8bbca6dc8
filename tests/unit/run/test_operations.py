"""The table of operations: each row, on both kinds of database, and what a new table changes."""

from __future__ import annotations

import pytest

from segue.run.gate.operations import CONTRACT, EXPAND, UNREADABLE, Findings, Operation, class_of

PG, LITE = "postgresql", "sqlite"
ROWS = [
    ("create_table", "", PG, EXPAND),
    ("add_column", "", PG, EXPAND),
    ("add_column", "required", PG, CONTRACT),
    ("add_column", "unique", LITE, CONTRACT),
    ("add_column", "computed", PG, CONTRACT),
    ("add_column", "index", PG, CONTRACT),
    ("add_column", "index", LITE, EXPAND),
    ("alter_column", "", PG, EXPAND),
    ("alter_column", "renamed", LITE, CONTRACT),
    ("alter_column", "retyped", PG, CONTRACT),
    ("alter_column", "required", PG, CONTRACT),
    ("create_index", "", PG, CONTRACT),
    ("create_index", "", LITE, EXPAND),
    ("create_index", "concurrently", PG, EXPAND),
    ("create_index", "concurrently unique", PG, CONTRACT),
    ("create_index", "unique", LITE, CONTRACT),
    ("create_constraint", "", PG, CONTRACT),
    ("create_constraint", "not_valid", PG, EXPAND),
    ("create_constraint", "not_valid unique", PG, CONTRACT),
    ("rename_table", "", LITE, CONTRACT),
    ("drop_table", "", PG, CONTRACT),
    ("drop_column", "", PG, CONTRACT),
    ("drop_index", "", PG, CONTRACT),
    ("drop_constraint", "", PG, CONTRACT),
    ("comment", "", PG, EXPAND),
    ("insert", "", PG, UNREADABLE),
    ("a word that is not in the table", "", PG, UNREADABLE),
]


@pytest.mark.parametrize(("name", "words", "dialect", "wanted"), ROWS)
def test_every_row(name: str, words: str, dialect: str, wanted: str) -> None:
    operation = Operation(name, "item", "it", frozenset(words.split()))
    found, does = class_of(operation, dialect, set())
    assert found == wanted
    assert "it" in does


@pytest.mark.parametrize("name", ["create_index", "create_constraint", "drop_column", "insert", "add_column"])
def test_whatever_is_done_to_a_new_table_harms_nobody(name: str) -> None:
    fresh: set[str] = set()
    assert class_of(Operation("create_table", "new"), PG, fresh)[0] == EXPAND
    words = frozenset({"unique", "required"})
    assert class_of(Operation(name, "new", "it", words), PG, fresh)[0] == EXPAND
    assert class_of(Operation(name, "old", "it", words), PG, fresh)[0] != EXPAND


def test_the_worst_operation_speaks_for_its_revision() -> None:
    found = Findings(LITE, set())
    assert found.as_dict("a1", "a1_.py")["class"] == EXPAND
    for name, line in (
        ("create_table", 3),
        ("insert", 4),
        ("drop_column", 5),
        ("drop_table", 6),
        ("insert", 7),
    ):
        found.add(Operation(name, f"table {line}", f"item {line}"), line)
    assert found.as_dict("a1", "a1_.py") == {
        "revision": "a1",
        "class": CONTRACT,
        "why": "drops item 5",
        "where": "a1_.py:5",
        "atomic": True,
    }
