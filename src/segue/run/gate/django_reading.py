"""Reads what a Django migration does, by its operations; the state of the models before each is needed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from django.db import migrations
from django.db.models import NOT_PROVIDED, UniqueConstraint

from .operations import Findings, Operation

# what each is in the table, what it concerns, and the words that matter of it
_SIMPLE: dict[str, tuple[str, str, str]] = {
    "AddConstraintNotValid": ("create_constraint", "{one.constraint.name}", "not_valid"),
    "AddIndex": ("create_index", "{one.index.name}", ""),
    "AddIndexConcurrently": ("create_index", "{one.index.name}", "concurrently"),
    "AlterModelManagers": ("comment", "{table}", ""),
    "AlterModelOptions": ("comment", "{table}", ""),
    "AlterModelTable": ("rename_table", "{table}", ""),
    "AlterModelTableComment": ("comment", "{table}", ""),
    "AlterUniqueTogether": ("create_constraint", "on {table}", "unique"),
    "CreateModel": ("create_table", "{table}", ""),
    "DeleteModel": ("drop_table", "{table}", ""),
    "RemoveConstraint": ("drop_constraint", "{one.name}", ""),
    "RemoveField": ("drop_column", "the field {table}.{one.name}", ""),
    "RemoveIndex": ("drop_index", "{one.name}", ""),
    "RemoveIndexConcurrently": ("drop_index", "{one.name}", ""),
    "RenameField": ("alter_column", "the field {table}.{one.old_name}", "renamed"),
    "RenameModel": ("rename_table", "{app}.{one.old_name}", ""),
    "RunPython": ("unreadable", "runs Python of its own", ""),
    "RunSQL": ("unreadable", "runs SQL of its own", ""),
    "ValidateConstraint": ("create_constraint", "{one.name}", ""),
}


def read_migration(migration: Any, file: str, state: Any, connection: Any, fresh: set[str]) -> Findings:
    """What `migration` in `file` does; `state`, of all models before it, is brought to what it is after."""
    found = Findings(connection.vendor, fresh)
    found.atomic = migration.atomic
    for operation, line in zip(migration.operations, _lines(file, len(migration.operations)), strict=True):
        after = state.clone()
        operation.state_forwards(migration.app_label, after)
        for one in _operations(operation, migration.app_label, state, after, connection):
            found.add(one, line)
        operation.state_forwards(migration.app_label, state)
    return found


def _lines(file: str, number: int) -> list[int]:
    """The line of each of the `number` operations in `file`; 1 where they are not simply listed there."""
    with open(file, encoding="utf-8") as source:
        tree = ast.parse(source.read())
    lists = (node.value for node in ast.walk(tree) if isinstance(node, ast.Assign) and _is_theirs(node))
    for found in lists:
        if isinstance(found, ast.List) and len(found.elts) == number:
            return [one.lineno for one in found.elts]
    return [1] * number


def _is_theirs(node: ast.Assign) -> bool:
    return ast.unparse(node.targets[0]) == "operations"


def _operations(one: Any, app: str, before: Any, after: Any, connection: Any) -> Iterator[Operation]:
    """What the operation `one` does to the database, in the words of the table."""
    table = f"{app}.{getattr(one, 'model_name', None) or getattr(one, 'name', '')}".lower()
    if isinstance(one, migrations.SeparateDatabaseAndState):
        for part in one.database_operations:
            yield from _operations(part, app, before, after, connection)
    elif isinstance(one, migrations.AlterField):
        old, new = (_field(state, app, one) for state in (before, after))
        yield from _of_change(old, new, table, connection)
    elif isinstance(one, migrations.AddField):
        yield _of_new(one, table)
    elif type(one) is migrations.AddConstraint:
        kinds = frozenset({"unique"} if isinstance(one.constraint, UniqueConstraint) else ())
        yield Operation("create_constraint", table, one.constraint.name, kinds)
    else:
        unknown = ("unreadable", f"does what nobody can read: {type(one).__name__}", "")
        name, what, words = _SIMPLE.get(type(one).__name__, unknown)
        yield Operation(name, table, what.format(one=one, table=table, app=app), frozenset(words.split()))


def _field(state: Any, app: str, one: Any) -> Any:
    return state.apps.get_model(app, one.model_name)._meta.get_field(one.name)  # noqa: SLF001 - documented


def _of_new(one: Any, table: str) -> Operation:
    if one.field.many_to_many:
        return Operation("create_table", f"{table}_{one.name}")
    return Operation("add_column", table, f"the field {table}.{one.name}", _of_field(one.field))


def _of_field(field: Any) -> frozenset[str]:
    # Django's own default is not the database's: an INSERT of the old code would lack a value
    required = not field.null and getattr(field, "db_default", NOT_PROVIDED) is NOT_PROVIDED
    words = {"required": required, "unique": field.unique, "index": field.db_index}
    return frozenset(word for word, holds in words.items() if holds)


def _of_change(old: Any, new: Any, table: str, connection: Any) -> Iterator[Operation]:
    what, words = f"the field {table}.{new.name}", set()
    if old.db_type(connection) != new.db_type(connection):
        words.add("retyped")
    if old.column != new.column:
        words.add("renamed")
    if old.null and not new.null:
        words.add("required")
    yield Operation("alter_column", table, what, frozenset(words))
    if new.unique and not old.unique:
        yield Operation("create_constraint", table, f"on {what}", frozenset({"unique"}))
    if new.db_index and not old.db_index:
        yield Operation("create_index", table, f"on {what}")
