"""Judges what a release's migrations would do to a database that the old code still uses. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from segue.core.errors import Failed

EXPAND, UNREADABLE, CONTRACT = "expand", "unreadable", "contract"
# what a revision may ask for itself: by its author's word, before the switch or once the old code has stopped
PRE, POST = "pre", "post"
MOST_NAMED = 5
AGAIN = "mend the migration, and deploy again"
UNTOLD = "look at which revision the database is at before you deploy again; what serves was not touched"
_MERGE = {
    "alembic": "`alembic merge heads` makes one of them",
    "flask-migrate": "`flask db merge heads` makes one of them",
    "django": "`python manage.py makemigrations --merge` makes one of them",
}
_RECIPE = (
    "in three deploys nobody notices: add the new beside the old (expand); deploy code that needs only the "
    'new; then take the old away by a revision with `phase = "post"`, or with `segue deploy '
    "--allow-contract`: it runs once the old code has stopped"
)
_WORDS = (
    '`phase = "pre"` in the revision runs it now, if what serves can live with it; `phase = "post"`, or '
    "`segue deploy --allow-contract`, once that has stopped"
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
        phase: what it asks for itself: ``pre``, ``post``, or nothing.
        needs: the revisions that it comes after.
    """

    revision: str
    kind: str
    why: str
    where: str
    atomic: bool = True
    phase: str = ""
    needs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.revision} {self.why} ({self.kind})"

    @property
    def contracts(self) -> bool:
        """Whether older code may not find what it needs after it."""
        return self.kind == CONTRACT or self.phase == POST or (self.kind == UNREADABLE and self.phase != PRE)

    def waits(self, *, allowed: bool) -> bool:
        """Whether it runs once the old code has stopped; `allowed` is what else would be refused."""
        return self.phase == POST or (allowed and self.kind != EXPAND and self.phase != PRE)


@dataclass(frozen=True)
class Batch:
    """Revisions that are run in one go.

    Attributes:
        tool: what runs them.
        pending: the revisions, in their order.
        at: the revision that the database is at; empty before its first.
    """

    tool: str
    pending: tuple[Pending, ...]
    at: str

    def __bool__(self) -> bool:
        return bool(self.pending)

    def __str__(self) -> str:
        names = [f"{one.revision} {one.kind}" for one in self.pending]
        more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
        return f"{len(names)} migration{'s' * (len(names) > 1)}: {', '.join([*names[:MOST_NAMED], *more])}"

    @property
    def revisions(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(one.revision for one in self.pending)

    @property
    def contracting(self) -> frozenset[str]:
        """The ids of those after which older code may not find what it needs."""
        return frozenset(one.revision for one in self.pending if one.contracts)

    @property
    def atomic(self) -> bool:
        """Whether none of it is committed piece by piece, as indexes are that are built concurrently."""
        return all(one.atomic for one in self.pending)


@dataclass(frozen=True)
class Judged:
    """What may be run, and when.

    Attributes:
        now: what runs before the switch.
        later: what runs once the old code has stopped.
        lives: the generation whose code needs the database as it is; None where nothing serves.
    """

    now: Batch
    later: Batch
    lives: str | None

    def notes(self, release: str) -> Iterator[str]:
        """What people should know of it before `release` runs it."""
        if self.lives is None:
            return
        for one in self.now.pending:
            if one.kind != EXPAND:
                yield f'phase = "pre": {one} while {self.lives} serves'
        for one in self.later.pending:
            yield f"once {self.lives} has stopped: {one}"
        if self.now.contracting or self.later.contracting:
            since = "from then on" if self.later else "from here on"
            yield f"{since} no rollback goes back past {release}"


def judge(tool: str, found: dict[str, Any], *, lives: str | None, allowed: bool) -> Judged:
    """What of the migrations that were `found` may be run.

    Args:
        tool: what makes them.
        found: what `History.read` says.
        lives: the generation that serves.
        allowed: whether what it can't live with may be run once it has stopped.

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
    pending = tuple(map(_pending, found["pending"]))
    later: tuple[Pending, ...] = ()
    if lives is not None:
        later = tuple(one for one in pending if one.waits(allowed=allowed))
        _demand_harmless(pending, lives, allowed=allowed)
        _demand_order(pending, later, lives)
    now = tuple(one for one in pending if one not in later)
    return Judged(Batch(tool, now, at), Batch(tool, later, at), lives)


def _pending(one: dict[str, Any]) -> Pending:
    phase = one["phase"]
    if phase not in ("", PRE, POST):
        raise Failed(
            "phase",
            f"Revision {one['revision']} has the phase {phase[:20]!r}, and there is none such.",
            evidence=one["where"],
            hint='`phase = "post"` runs once the old code has stopped, `phase = "pre"` before the switch',
        )
    return Pending(
        one["revision"], one["class"], one["why"], one["where"], one["atomic"], phase, tuple(one["needs"])
    )


def _demand_order(pending: tuple[Pending, ...], later: tuple[Pending, ...], lives: str) -> None:
    """What has to wait makes wait what comes after it; and that the new code may need from its start."""
    waiting = {one.revision for one in later}
    for one in pending:
        if one not in later and (first := waiting.intersection(one.needs)):
            raise Failed(
                "order",
                f"Revision {one.revision} is for before the switch, and comes after {min(first)}, which runs "
                f"once {lives} has stopped.",
                evidence="\n".join(map(str, pending)),
                hint=f'deploy in two: the first without {one.revision}; or write `phase = "post"` in that as '
                "well, if the new code can do without it until then",
            )


def _demand_harmless(pending: tuple[Pending, ...], lives: str, *, allowed: bool) -> None:
    refused = [one for one in pending if not (one.kind == EXPAND or one.phase or allowed)]
    worst = {one.kind: one for one in reversed(refused)}
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
        hint=_WORDS,
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
        return Failed("migration", message, evidence=evidence, hint=AGAIN)
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
