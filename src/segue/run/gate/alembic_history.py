"""The migrations of an app that has Alembic, by itself or by Flask-Migrate, through its own ``env.py``.

However that reaches the database, we do, too: with its URL, its driver, its options.
"""

from __future__ import annotations

import contextvars
import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError, to_tuple

from . import database_lock
from .alembic_reading import read_revision
from .history import Changed


class AlembicHistory:
    """See `History`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._script = ScriptDirectory.from_config(config)
        self._dialect = ""
        self.transactional = False

    def lock(self, deadline: float) -> None:
        """See `History`."""
        outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

        def hold(_heads: Any, context: Any) -> list[Any]:
            if _take(context.connection, deadline):
                outcome.put(None)
                # the lock is the session's, and the session is this thread's: both end with the process
                threading.Event().wait()
            return []

        def work() -> None:
            try:
                self._enter(hold)
            except BaseException as error:  # noqa: BLE001 - it is the other thread's to handle
                outcome.put(error)
            else:
                outcome.put(None)

        threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True).start()
        if (error := outcome.get()) is not None:
            raise error

    def current(self) -> list[str]:
        """See `History`."""
        found: list[str] = []

        def look(heads: Any, context: Any) -> list[Any]:
            found.extend(heads)
            self._dialect = context.dialect.name
            self.transactional = bool(context.impl.transactional_ddl)
            return []

        self._enter(look)
        return found

    def read(self) -> dict[str, Any]:
        """See `History`."""
        current, heads = self.current(), list(self._script.get_heads())
        unknown = [revision for revision in current if not self._knows(revision)]
        fresh: set[str] = set()
        pending = [] if unknown or len(heads) != 1 else self._pending(heads, current)
        found = [self._read(script, fresh) for script in pending]
        return {"heads": heads, "current": current, "unknown": unknown, "pending": found}

    def _read(self, script: Any, fresh: set[str]) -> dict[str, Any]:
        findings = read_revision(script, self._dialect, fresh)
        asks = {"phase": str(getattr(script.module, "phase", "")), "needs": self._needs(script)}
        return {**findings.as_dict(script.revision, os.path.relpath(script.path)), **asks}

    def lacking(self, wanted: Sequence[str]) -> list[str]:
        """See `History`."""
        found: list[str] = []

        def look(heads: Any, _context: Any) -> list[Any]:
            found.extend(script.revision for script in self._lacking(wanted, heads))
            return []

        self._enter(look)
        return found

    def upgrade(self, wanted: Sequence[str], *, again: bool) -> None:
        """See `History`."""
        if again:
            database_lock.patiently(lambda: self._upgrade(wanted, database_lock.LOCK_TIMEOUT))
        else:
            self._upgrade(wanted, 0)

    def file_of(self, revision: str) -> str:
        """See `History`."""
        return str(self._script.get_revision(revision).path)

    def _upgrade(self, wanted: Sequence[str], lock_timeout: int) -> None:
        def steps(heads: Any, context: Any) -> Any:
            found = self._lacking(wanted, heads)
            if context.dialect.name == "postgresql":
                context.connection.exec_driver_sql(f"SET lock_timeout = '{lock_timeout}s'")
            return [MigrationStep.upgrade_from_script(self._script.revision_map, script) for script in found]

        self._enter(steps, destination_rev=wanted[-1])

    def _enter(self, act: Callable[[Any, Any], Any], **words: Any) -> None:
        words = words or {"dont_mutate": True}
        with EnvironmentContext(self._config, self._script, fn=act, **words):
            self._script.run_env()

    def _knows(self, revision: str) -> bool:
        try:
            return self._script.get_revision(revision) is not None
        except CommandError:
            return False

    def _lacking(self, wanted: Sequence[str], current: Sequence[str]) -> list[Any]:
        found = self._pending(wanted, current)
        if more := [script.revision for script in found if script.revision not in wanted]:
            raise Changed(f"pending now, too: {', '.join(more)}")
        return found

    def _pending(self, wanted: Sequence[str], current: Sequence[str]) -> list[Any]:
        """What of `wanted`, and of what that needs, a database at `current` lacks; the oldest first."""
        scripts = [self._script.get_revision(revision) for revision in wanted]
        needed = {revision for script in scripts for revision in self._needs(script)}
        last = tuple(revision for revision in wanted if revision not in needed)
        newest_first = self._script.iterate_revisions(last, tuple(current) or "base", implicit_base=True)
        return list(newest_first)[::-1]

    def _needs(self, script: Any) -> list[str]:
        names = (*to_tuple(script.down_revision, ()), *to_tuple(script.dependencies, ()))
        return [one.revision for name in names for one in self._script.get_revisions(name)]


def _take(connection: Any, deadline: float) -> bool:
    """Take the lock of the database behind `connection`; whether it lasts only as long as that does."""
    if connection.dialect.name == "postgresql":
        database_lock.lock_postgresql(lambda ask: connection.exec_driver_sql(ask).scalar(), deadline)
        return True
    file = connection.engine.url.database
    if connection.dialect.name == "sqlite" and file not in (None, "", ":memory:"):
        database_lock.lock_file(file, deadline)
    return False


def by_alembic() -> AlembicHistory:
    """The history that ``alembic.ini`` here tells of."""
    return AlembicHistory(Config("alembic.ini"))


def by_flask_migrate(app: Any) -> AlembicHistory:
    """The history that Flask-Migrate gave `app`.

    Raises:
        LookupError: it gave it none.
    """
    if "migrate" not in getattr(app, "extensions", {}):
        raise LookupError("the app has a folder migrations, and no Migrate(app, db)")
    app.app_context().push()
    return AlembicHistory(app.extensions["migrate"].migrate.get_config())
