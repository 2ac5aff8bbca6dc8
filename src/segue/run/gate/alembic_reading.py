"""Reads what an Alembic revision does: its own ``upgrade()`` runs, but every operation is noted, not done.

So arguments are seen as they are, however they came about. What asks the database anything can't be read.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import alembic.op
from alembic.operations import BatchOperations, Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event
from sqlalchemy.engine import Engine

from .operations import Findings, Operation

# what it is in the table, the attribute that names what it concerns, and that in words
_SIMPLE: dict[type, tuple[str, str, str]] = {
    ops.RenameTableOp: ("rename_table", "", "{table}"),
    ops.DropTableOp: ("drop_table", "", "{table}"),
    ops.DropColumnOp: ("drop_column", "column_name", "the column {table}.{part}"),
    ops.DropIndexOp: ("drop_index", "index_name", "{part}"),
    ops.DropConstraintOp: ("drop_constraint", "constraint_name", "{part} of {table}"),
    ops.CreateTableCommentOp: ("comment", "", "{table}"),
    ops.DropTableCommentOp: ("comment", "", "{table}"),
}


class Unreadable(BaseException):
    """It asks the database; no handler of the migration's own is to take this for a failure."""


class _Context:
    """What a revision may know of its context without asking the database."""

    def __init__(self, dialect: Any, found: Findings) -> None:
        self.dialect = dialect
        self._found = found

    def autocommit_block(self) -> contextlib.AbstractContextManager[None]:
        self._found.atomic = False
        return contextlib.nullcontext()

    def __getattr__(self, name: str) -> Any:
        raise Unreadable(f"asks for {name} of its context")


def read_revision(script: Any, dialect: str, fresh: set[str]) -> Findings:
    """What the revision `script` does, on a database of `dialect` that will have the `fresh` tables."""
    found = Findings(dialect, fresh)
    try:
        with _noting(found, script.path, dialect), _refusing_statements():
            script.module.upgrade()
    except Unreadable as reason:
        found.add(Operation("unreadable", what=str(reason)), _line_in(script.path, reason.__traceback__))
    except Exception as error:  # noqa: BLE001 - what it needs of a database it did not get
        what = f"can't be read without a database: {type(error).__name__}: {error}".splitlines()[0]
        found.add(Operation("unreadable", what=what), _line_in(script.path, error.__traceback__))
    return found


def _line_in(path: str, trace: Any) -> int:
    """The last line of `path` in the traceback `trace`; 1 where it is not in it."""
    line = 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _caller_in(path: str) -> int:
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename != path:
        frame = frame.f_back
    return frame.f_lineno if frame else 1


@contextlib.contextmanager
def _refusing_statements() -> Iterator[None]:
    """A revision may reach the database past Alembic, by the app's own session."""

    def refuse(*_: Any) -> None:
        raise Unreadable("runs statements of its own")

    event.listen(Engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", refuse)


@contextlib.contextmanager
def _noting(found: Findings, path: str, dialect: str) -> Iterator[None]:
    context = MigrationContext.configure(dialect_name=dialect, opts={"as_sql": True})

    def refuse(*_: Any, **__: Any) -> Any:
        raise Unreadable("asks for the connection")

    def note(operation: Any) -> Any:
        found.add(_operation(operation), _caller_in(path))
        is_table = isinstance(operation, ops.CreateTableOp)
        return operation.to_table(context) if is_table else None

    @contextlib.contextmanager
    def batch_alter_table(table: str, schema: str | None = None, **_: Any) -> Any:
        impl = SimpleNamespace(table_name=table, schema=schema)
        batch = BatchOperations(context, impl=impl)  # type: ignore[arg-type]
        setattr(batch, "invoke", note)  # noqa: B010 - a method, on this one object
        yield batch

    instead = {
        "invoke": note,
        "batch_alter_table": batch_alter_table,
        "get_bind": refuse,
        "run_async": refuse,
        "get_context": lambda: _Context(context.dialect, found),
    }
    with Operations.context(context) as noting:
        for name, function in instead.items():
            # a revision has the module, or functions out of it that look here
            setattr(noting, name, function)
            setattr(alembic.op, name, function)
        yield


def _named(table: str | None, schema: str | None) -> str:
    return f"{schema}.{table}" if schema and table else table or ""


def _operation(operation: Any) -> Operation:
    """`operation` in the words of the table."""
    match operation:
        case ops.CreateTableOp(table_name=table, schema=schema):
            return Operation("create_table", _named(table, schema))
        case ops.AddColumnOp(table_name=table, schema=schema, column=column):
            words = frozenset(_of_column(column))
            return Operation("add_column", _named(table, schema), f"the column {table}.{column.name}", words)
        case ops.AlterColumnOp(table_name=table, schema=schema, column_name=column):
            words = frozenset(_of_change(operation))
            return Operation("alter_column", _named(table, schema), f"the column {table}.{column}", words)
        case ops.CreateIndexOp(table_name=table, schema=schema):
            words = frozenset(_of_index(operation))
            return Operation("create_index", _named(table, schema), str(operation.index_name), words)
        case ops.AddConstraintOp():
            return _constraint(operation)
    return _other(operation)


def _of_column(column: Any) -> Iterator[str]:
    if not column.nullable and column.server_default is None and column.computed is None:
        yield "required"
    if column.unique:
        yield "unique"
    if column.index:
        yield "index"
    if column.computed is not None or column.identity is not None:
        yield "computed"


def _of_change(operation: Any) -> Iterator[str]:
    if operation.modify_name is not None:
        yield "renamed"
    if operation.modify_type is not None:
        yield "retyped"
    if operation.modify_nullable is False:
        yield "required"


def _of_index(operation: Any) -> Iterator[str]:
    if operation.unique:
        yield "unique"
    if operation.kw.get("postgresql_concurrently"):
        yield "concurrently"


def _constraint(operation: Any) -> Operation:
    table = getattr(operation, "source_table", None) or getattr(operation, "table_name", "")
    kinds = (ops.CreateUniqueConstraintOp, ops.CreatePrimaryKeyOp)
    words = {"unique"} if isinstance(operation, kinds) else set()
    if operation.kw.get("postgresql_not_valid"):
        words.add("not_valid")
    schema = operation.kw.get("source_schema") or getattr(operation, "schema", None)
    name = operation.constraint_name or f"on {table}"
    return Operation("create_constraint", _named(table, schema), str(name), frozenset(words))


def _other(operation: Any) -> Operation:
    if isinstance(operation, ops.BulkInsertOp):
        return Operation("insert", operation.table.name)
    if isinstance(operation, ops.ExecuteSQLOp):
        return Operation("unreadable", what="runs SQL of its own")
    if type(operation) not in _SIMPLE:
        return Operation("unreadable", what=f"does what nobody can read: {type(operation).__name__}")
    name, part, words = _SIMPLE[type(operation)]
    table = operation.table_name
    what = words.format(table=table, part=getattr(operation, part, ""))
    return Operation(name, _named(table, getattr(operation, "schema", None)), what)
