"""The migrations of a Django app, on its default database."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from . import database_lock
from .django_reading import read_migration
from .history import Changed

# what Django takes for the database of a project that names none
_NO_DATABASE = "django.db.backends.dummy"


class DjangoHistory:
    """See `History`. A revision is called ``app.0002_name``."""

    def __init__(self) -> None:
        self._connection = connections[DEFAULT_DB_ALIAS]
        # each migration by itself: those before a failed one stay
        self.transactional = bool(self._connection.features.can_rollback_ddl)

    def lock(self, deadline: float) -> None:
        """See `History`."""
        if self._connection.vendor == "postgresql":
            # a session of its own, which lasts as long as this process
            self._session = connections.create_connection(DEFAULT_DB_ALIAS)
            database_lock.lock_postgresql(self._ask_session, deadline)
        elif self._connection.vendor == "sqlite" and not self._connection.is_in_memory_db():
            database_lock.lock_file(str(self._connection.settings_dict["NAME"]), deadline)

    def _ask_session(self, statement: str) -> Any:
        with self._session.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]

    def current(self) -> list[str]:
        """See `History`: the last migration of each app."""
        return [f"{app}.{name}" for app, name in self._last().items()]

    def _last(self) -> dict[str, str]:
        recorder = MigrationRecorder(self._connection)
        if not recorder.has_table():
            return {}
        return dict(recorder.migration_qs.order_by("id").values_list("app", "name"))

    def read(self) -> dict[str, Any]:
        """See `History`; its heads are those of an app that has several, and nothing else."""
        if self._connection.settings_dict["ENGINE"] == _NO_DATABASE:
            return {"heads": [], "current": [], "unknown": [], "pending": []}
        loader = MigrationExecutor(self._connection).loader
        heads = [f"{app}.{name}" for app, names in loader.detect_conflicts().items() for name in names]
        # names that a squash replaced are older than those that replaced them
        unknown = [
            f"{app}.{name}"
            for app, name in self._last().items()
            if app in loader.migrated_apps and (app, name) not in loader.disk_migrations
        ]
        pending = [] if heads or unknown else self._pending()
        return {"heads": heads, "current": self.current(), "unknown": unknown, "pending": self._read(pending)}

    def upgrade(self, wanted: Sequence[str], *, again: bool) -> None:
        """See `History`."""
        if again:
            database_lock.patiently(lambda: self._upgrade(wanted, database_lock.LOCK_TIMEOUT))
        else:
            self._upgrade(wanted, 0)

    def file_of(self, revision: str) -> str:
        """See `History`."""
        app, _, name = revision.partition(".")
        migration = MigrationExecutor(self._connection).loader.disk_migrations[app, name]
        return str(sys.modules[migration.__module__].__file__)

    def lacking(self, wanted: Sequence[str]) -> list[str]:
        """See `History`."""
        found = [_name((one.app_label, one.name)) for one in self._pending(_last_of(wanted))]
        if more := [revision for revision in found if revision not in wanted]:
            raise Changed(f"pending now, too: {', '.join(more)}")
        return found

    def _upgrade(self, wanted: Sequence[str], lock_timeout: int) -> None:
        lacking = self.lacking(wanted)
        if self._connection.vendor == "postgresql":
            with self._connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = '{lock_timeout}s'")
        # the command, not the executor: it makes permissions and content types as well
        if len(lacking) == len(self._pending()):
            call_command("migrate", interactive=False)
            return
        for app, name in _last_of(wanted):
            # one that came with another's by now must not be asked for: Django would go back to it
            if self._pending([(app, name)]):
                call_command("migrate", app, name, interactive=False)

    def _pending(self, targets: Sequence[tuple[str, str]] | None = None) -> list[Any]:
        """The migrations that the database lacks for `targets`; without them, for all there are."""
        executor = MigrationExecutor(self._connection)
        wanted = executor.loader.graph.leaf_nodes() if targets is None else targets
        lacking = [target for target in wanted if target not in executor.loader.applied_migrations]
        return [migration for migration, _ in executor.migration_plan(lacking)]

    def _read(self, pending: list[Any]) -> list[dict[str, Any]]:
        loader = MigrationExecutor(self._connection).loader
        state = loader.project_state([key for key in loader.applied_migrations if key in loader.graph.nodes])
        fresh: set[str] = set()
        found = []
        for migration in pending:
            file = str(sys.modules[migration.__module__].__file__)
            findings = read_migration(migration, file, state, self._connection, fresh)
            key = (migration.app_label, migration.name)
            needs = [_name(one.key) for one in loader.graph.node_map[key].parents]
            asks = {"phase": _phase(migration), "needs": needs}
            found.append({**findings.as_dict(_name(key), os.path.relpath(file)), **asks})
        return found


def _name(key: tuple[str, str]) -> str:
    return ".".join(key)


def _last_of(wanted: Sequence[str]) -> list[tuple[str, str]]:
    """The last of the `wanted` migrations of each app."""
    return list(dict(revision.split(".", 1) for revision in wanted).items())


def _phase(migration: Any) -> str:
    """What it says of itself, in its class or its module."""
    of_module = getattr(sys.modules[migration.__module__], "phase", "")
    return str(getattr(migration, "phase", of_module))
