"""What the migrations of an app can be asked, whoever made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Changed(Exception):
    """The database is no longer as it was when its migrations were read."""


class History(Protocol):
    """The migrations of an app, and how far its database has come."""

    transactional: bool
    """Whether the database undoes a migration that fails, once it was asked."""

    def lock(self, deadline: float) -> None:
        """Keep others from migrating the same database, until this process ends.

        Raises:
            Locked: another does, and did not end before `deadline`.
        """

    def current(self) -> list[str]:
        """The revisions that the database is at."""

    def read(self) -> dict[str, Any]:
        """Its ``heads``, ``current``, those of them ``unknown`` to the release, and what is ``pending``.

        Of each that is pending there is what `Findings.as_dict` says, the ``phase`` that it asks for itself,
        and the revisions that it ``needs``.
        """

    def lacking(self, wanted: Sequence[str]) -> list[str]:
        """Those of the `wanted` revisions that the database lacks, in the order in which they are run.

        Raises:
            Changed: they need others that it lacks, too.
        """

    def upgrade(self, wanted: Sequence[str], *, again: bool) -> None:
        """Run those of the `wanted` revisions that the database lacks.

        `again` and again, where PostgreSQL has no lock for them in a second: what is not undone can't be.

        Raises:
            Changed: they need others that it lacks, too.
        """

    def file_of(self, revision: str) -> str:
        """The file of `revision`."""
