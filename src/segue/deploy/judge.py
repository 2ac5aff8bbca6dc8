"""Judges what a release's migrations would do to a database that the old code still uses. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from segue.core.errors import Failed

EXPAND, UNREADABLE, CONTRACT = "expand", "unreadable", "contract"
UNTOLD = "look at which revision the database is at before you deploy again; what serves was not touched"
_MERGE = {
    "alembic": "`alembic merge heads` makes one of them",
    "flask-migrate": "`flask db merge heads` makes one of them",
    "django": "`python manage.py makemigrations --merge` makes one of them",
}
_RECIPE = (
    "in three deploys nobody notices: add the new beside the old (expand); deploy code that needs only the "
    "new; then take the old away with `segue deploy --allow-contract`"
)
_TROUBLES = {
    "locked": (
        "Another deploy migrates this database, and did not finish in time.",
        "deploy again when it is done",
    ),
    "changed": (
        "The database changed after its migrations had been judged.",
        "somebody else migrated it: deploy again",
    ),
    "unreachable": (
        "The migrations could not be read: {message}.",
        "the release has to reach its database, in the app's environment; or set `migrate = false`",
    ),
}


@dataclass(frozen=True)
class Pending:
    """A revision that the database lacks.

    Attributes:
        revision: its id.
        kind: ``expand``, ``contract`` or ``unreadable``.
        why: the worst that it does.
        where: the file and line that do it.
        atomic: whether a database that can do so undoes all of it where it fails.
    """

    revision: str
    kind: str
    why: str
    where: str
    atomic: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.revision} {self.why} ({self.kind})"


@dataclass(frozen=True)
class Judged:
    """What may be run.

    Attributes:
        pending: the revisions, in their order.
        at: the revision that the database is at; empty before its first.
        lives: the generation whose code needs the database as it is; None where nothing serves.
    """

    pending: tuple[Pending, ...]
    at: str
    lives: str | None

    @property
    def revisions(self) -> tuple[str, ...]:
        """The ids of what is pending."""
        return tuple(one.revision for one in self.pending)

    @property
    def contracts(self) -> bool:
        """Whether older code may not find what it needs after it."""
        return any(one.kind != EXPAND for one in self.pending)

    @property
    def atomic(self) -> bool:
        """Whether none of it is committed piece by piece, as indexes are that are built concurrently."""
        return all(one.atomic for one in self.pending)

    def notes(self, release: str) -> Iterator[str]:
        """What people should know of it before `release` runs it."""
        if self.lives is not None and self.contracts:
            for one in self.pending:
                if one.kind != EXPAND:
                    yield f"--allow-contract: {one} while {self.lives} serves"
            yield f"from here on no rollback goes back past {release}"


def judge(tool: str, found: dict[str, Any], *, lives: str | None, allowed: bool) -> Judged:
    """What of the migrations that were `found` may be run.

    Args:
        tool: what makes them.
        found: what `History.read` says.
        lives: the generation that serves.
        allowed: whether it may be harmed.

    Raises:
        Failed: none may.
    """
    at, head = ", ".join(found["current"]), ", ".join(found["heads"])
    if found["unknown"]:
        raise Failed(
            "database_ahead",
            f"The database is ahead of the release, at {', '.join(found['unknown'])}.",
            evidence=f"database: {at}\nrelease: {head or 'no revision'}",
            hint="deploy code that has this revision; segue never takes a migration back",
        )
    if len(found["heads"]) > 1:
        message = f"The release's migrations have {len(found['heads'])} heads."
        raise Failed("heads", message, evidence="\n".join(found["heads"]), hint=_MERGE[tool])
    pending = tuple(
        Pending(one["revision"], one["class"], one["why"], one["where"], one["atomic"])
        for one in found["pending"]
    )
    if lives is not None and not allowed:
        _demand_harmless(pending, lives)
    return Judged(pending, at, lives)


def _demand_harmless(pending: tuple[Pending, ...], lives: str) -> None:
    worst = {one.kind: one for one in reversed(pending)}
    found = worst.get(CONTRACT) or worst.get(UNREADABLE)
    if found is None:
        return
    evidence = "\n".join(map(str, pending))
    if found.kind == CONTRACT:
        message = f"Revision {found.revision} {found.why}, and {lives} serves still."
        raise Failed("contract", message, evidence=evidence, hint=_RECIPE)
    raise Failed(
        "unreadable",
        f"Whether {lives} can live with revision {found.revision} can't be read: it {found.why}.",
        evidence=evidence,
        hint="if it can, `segue deploy --allow-contract` runs it",
    )


def is_undone(done: dict[str, Any], *, atomic: bool) -> bool:
    """Whether the database is as it was before the run of `atomic` revisions that wrote `done`."""
    if done["kind"] != "raised":
        return True  # it was not begun
    return bool(atomic and done["transactional"] and done["current"] == done["before"])


def raised(done: dict[str, Any], *, atomic: bool = True) -> Failed:
    """How a task failed that could not do what it was to do, by what it wrote down."""
    if done["kind"] == "raised":
        return _broken_off(done, atomic=atomic)
    message, hint = _TROUBLES.get(done["kind"], ("The migrations failed: {message}.", UNTOLD))
    told = message.format(message=done["message"].rstrip("."))
    return Failed("migration", told, evidence=done["evidence"], hint=hint)


def _broken_off(done: dict[str, Any], *, atomic: bool) -> Failed:
    before, now = _revisions(done["before"]), _revisions(done["current"])
    where = f"at {done['where']}: " if done["where"] else ""
    evidence = f"{where}{done['message']}\n\n{done['evidence']}"
    if is_undone(done, atomic=atomic):
        message = f"The migration failed, and the database undid it: it is at {now}, as before."
        return Failed("migration", message, evidence=evidence, hint="mend the migration, and deploy again")
    undoes = atomic and done["transactional"]
    stays = "" if undoes else "; what it did before that stays, for nothing undoes it"
    return Failed(
        "migration",
        f"The migration failed half-way: the database is at {now} now, and was at {before}{stays}.",
        evidence=evidence,
        hint="bring the database to one of its revisions by hand, mend the migration, and deploy again",
    )


def _revisions(found: list[str] | None) -> str:
    return "nobody knows what" if found is None else ", ".join(found) or "no revision"
