"""Whether an operation of a migration leaves alone what the old code needs: the table of all of them. Pure.

*expand* adds what old code does not know of; *contract* takes away or forbids what it may rely on, or blocks
it meanwhile; what nobody can tell without running it is *unreadable*.
"""

from __future__ import annotations

from typing import Any, NamedTuple

EXPAND, UNREADABLE, CONTRACT = "expand", "unreadable", "contract"
# the least to be feared first
CLASSES = (EXPAND, UNREADABLE, CONTRACT)


class Operation(NamedTuple):
    """One operation.

    Attributes:
        name: what is done, a key of the table.
        table: the table that it is done to; empty where it is none, or nobody knows.
        what: what of the table it concerns, for people.
        words: what matters of how it is done.
    """

    name: str
    table: str = ""
    what: str = ""
    words: frozenset[str] = frozenset()


# The first row decides all of whose words are among those of the operation and its dialect.
_TABLE: dict[str, tuple[tuple[set[str], str, str], ...]] = {
    "create_table": ((set(), EXPAND, "creates the table {what}"),),
    "add_column": (
        ({"required"}, CONTRACT, "adds {what}, not null and without a server default"),
        ({"unique"}, CONTRACT, "adds {what} with a unique constraint"),
        ({"computed"}, CONTRACT, "adds {what} and rewrites the table for it"),
        ({"index", "postgresql"}, CONTRACT, "adds {what} with an index that is not built concurrently"),
        (set(), EXPAND, "adds {what}"),
    ),
    "alter_column": (
        ({"renamed"}, CONTRACT, "renames {what}"),
        ({"retyped"}, CONTRACT, "changes the type of {what}"),
        ({"required"}, CONTRACT, "sets {what} not null"),
        (set(), EXPAND, "alters {what}"),
    ),
    "create_index": (
        ({"unique"}, CONTRACT, "creates the unique index {what}"),
        ({"postgresql", "concurrently"}, EXPAND, "creates the index {what} concurrently"),
        ({"postgresql"}, CONTRACT, "creates the index {what}, not concurrently: writes wait for it"),
        (set(), EXPAND, "creates the index {what}"),
    ),
    "create_constraint": (
        ({"unique"}, CONTRACT, "creates the unique constraint {what}"),
        ({"not_valid"}, EXPAND, "creates the constraint {what}, not valid for what is there"),
        (set(), CONTRACT, "creates the constraint {what} and validates what is there"),
    ),
    "rename_table": ((set(), CONTRACT, "renames the table {what}"),),
    "drop_table": ((set(), CONTRACT, "drops the table {what}"),),
    "drop_column": ((set(), CONTRACT, "drops {what}"),),
    "drop_index": ((set(), CONTRACT, "drops the index {what}"),),
    "drop_constraint": ((set(), CONTRACT, "drops the constraint {what}"),),
    "comment": ((set(), EXPAND, "comments on {what}"),),
    "insert": ((set(), UNREADABLE, "inserts rows into {what}"),),
}
_UNKNOWN = (set[str](), UNREADABLE, "{what}")


def class_of(operation: Operation, dialect: str, fresh: set[str]) -> tuple[str, str]:
    """The class of `operation` on a database of `dialect`, and what it does in words.

    Args:
        operation: what is done.
        dialect: such as ``postgresql``.
        fresh: tables that no old code knows, because pending migrations create them; one more after this.
    """
    rows = _TABLE.get(operation.name, (_UNKNOWN,))
    words = operation.words | {dialect}
    _, found, does = next(row for row in rows if row[0] <= words)
    is_new = operation.table in fresh and operation.name != "rename_table"
    if operation.name == "create_table":
        fresh.add(operation.table)
    return (EXPAND if is_new else found), does.format(what=operation.what or operation.table)


class Findings:
    """What was found of one migration: the worst of its operations.

    Attributes:
        atomic: whether it is one transaction, where the database has such for tables.
    """

    def __init__(self, dialect: str, fresh: set[str]) -> None:
        self._dialect, self._fresh = dialect, fresh
        self.worst, self.why, self.line = EXPAND, "changes nothing", 0
        self.atomic = True

    def add(self, operation: Operation, line: int = 0) -> None:
        """It does `operation`, in `line` of its file."""
        found, why = class_of(operation, self._dialect, self._fresh)
        if not self.line or CLASSES.index(found) > CLASSES.index(self.worst):
            self.worst, self.why, self.line = found, why, line

    def as_dict(self, revision: str, file: str) -> dict[str, Any]:
        """The findings of `revision`, which lies in `file`."""
        where = f"{file}:{self.line}" if self.line else file
        found = {"class": self.worst, "why": self.why, "where": where, "atomic": self.atomic}
        return {"revision": revision, **found}
