"""The migrate step: brings the database to where the release needs it, without harm to what serves.

Migrations are the one thing that a deploy does not take back: they are judged before anything is changed.
"""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.core.errors import Failed, Stranded
from segue.deploy.judge import AGAIN, UNTOLD, Batch, is_undone, judge, raised
from segue.deploy.of_release import run_in_release
from segue.deploy.task import run_part
from segue.deploy.verify import HIGHEST_GOOD, ask_at_door
from segue.disk.forms import Form

if TYPE_CHECKING:
    from collections.abc import Callable

    from segue.deploy.run import Run

# by the file that says so, in this order
TOOLS = {"alembic": "alembic.ini", "flask-migrate": "migrations/alembic.ini", "django": "manage.py"}
# others call a script of theirs manage.py, too
_OF_DJANGO = b"DJANGO_SETTINGS_MODULE"
LIVE_TRIES = 3
# seconds: somebody who interrupted it waits for the answer
ASK_AGAIN_LIMIT = 30.0

_TROUBLE: Form = {
    **dict.fromkeys(("kind", "message", "evidence", "where"), str),
    "before": [str],
    "current": ([str], None),
    "transactional": bool,
}
_FOUND: Form = (
    _TROUBLE,
    {
        "heads": [str],
        "current": [str],
        "unknown": [str],
        "transactional": bool,
        "pending": [
            {
                **dict.fromkeys(("revision", "class", "why", "where", "phase"), str),
                "atomic": bool,
                "needs": [str],
            }
        ],
    },
)
_DONE: Form = (_TROUBLE, {"kind": str, "applied": [str]})


async def migrate(run: Run) -> str:
    """Run what the database lacks; what the step has to say.

    Raises:
        Failed: it can't be run, must not be run while the old code lives, or was, and went wrong.
    """
    command, tool = run.config.migrate, _tool_of(run.site.home.release(run.plan.release))
    if command:
        return await _by_command(run, command)
    return await _by_tool(run, tool) if tool else "no migrations"


def _tool_of(release: Path) -> str | None:
    return next((tool for tool, file in TOOLS.items() if _has(release / file, tool)), None)


def _has(file: Path, tool: str) -> bool:
    return file.is_file() and (tool != "django" or _OF_DJANGO in file.read_bytes())


async def _by_command(run: Run, command: tuple[str, ...]) -> str:
    healthy = not await _trouble_of_live(run)
    limit, generation = run.config.migrate_timeout, run.plan.generation
    run.migrated = f"what `{shlex.join(command)}` did, if it came to that"
    ended = await run_in_release(run, command, generation=generation, told={}, limit=limit)
    run.migrated = f"what `{ended.shown}` did"
    if not ended.well:
        raise Failed(
            "migration",
            f"The migration `{command[0]}` {ended.status}.",
            evidence=ended.evidence(),
            hint=UNTOLD,
        )
    await _demand_live_well(run, healthy=healthy)
    return f"`{ended.shown}` ended well"


async def _by_tool(run: Run, tool: str) -> str:
    found = await _task(run, tool, form=_FOUND)
    if "message" in found:
        raise raised(found)
    judged = judge(tool, found, lives=run.plan.previous, allowed=run.allow_contract)
    for text in judged.notes(run.plan.release):
        run.note(text)
    run.later = judged.later or None
    told = await _bring(run, judged.now) if judged.now else "nothing to migrate"
    return f"{told}; once {judged.lives} has stopped, {judged.later}" if judged.later else told


async def contract(run: Run) -> str:
    """Run the migrations that had to wait until the old generation had stopped; what the step has to say.

    Raises:
        Failed: the database has nothing of them, and the new code lives with that.
        Stranded: they went wrong, and nothing takes them back.
    """
    if run.later is None:
        raise RuntimeError("a contract that is run was judged")
    try:
        return await _bring(run, run.later)
    except _Undone as failure:
        cause = failure.evidence.partition("\n")[0]
        words = f"{failure.message} {cause}: the next deploy finds it pending, and {run.plan.release} serves."
        raise Failed(failure.kind, words) from None
    except Failed as failure:
        message = f"{run.plan.release} is live, and its contract went wrong. {failure.message}"
        raise Stranded(failure.kind, message, evidence=failure.evidence, hint=failure.hint) from None


class _Undone(Failed):
    """A run failed, and the database has nothing of it."""


async def _bring(run: Run, batch: Batch) -> str:
    """Run `batch`, and see that what serves lives with it; what there is to say."""
    healthy = not await _trouble_of_live(run)
    if not await _run(run, batch):
        return "nothing to migrate: another deploy did meanwhile"
    run.migrated = str(batch)
    await _demand_live_well(run, healthy=healthy)
    return run.migrated


async def _run(run: Run, batch: Batch) -> list[str]:
    """Run `batch`; the revisions that were."""
    take_back = _mark(run, batch)
    try:
        return await _applied(run, batch)
    except _Undone:
        take_back()
        raise
    except asyncio.CancelledError:
        undone = await _is_without(run, batch)
        run.note(f"interrupted in a migration: {'the database undid it' if undone else UNTOLD}")
        if undone:
            take_back()
        raise


def _mark(run: Run, batch: Batch) -> Callable[[], None]:
    """Say on disk what `batch` may change, before it does: whoever comes after a death has to know.

    What is returned unsays it.
    """
    releases, release = run.site.releases, run.plan.release
    before = releases.read(release).get("migrated_from")
    releases.update(release, migrated_from=batch.at if before is None else before)
    bars = bool(batch.contracting) and not releases.bars_rollbacks(past=release)
    if bars:
        releases.bar_rollbacks(past=release)

    def take_back() -> None:
        releases.update(release, migrated_from=before)
        if bars:
            releases.allow_rollbacks(past=release)

    return take_back


async def _applied(run: Run, batch: Batch) -> list[str]:
    try:
        how = "atomic" if batch.atomic else "piecemeal"
        done = await _task(run, batch.tool, how, *batch.revisions, form=_DONE)
    except Failed as failure:
        if not await _is_without(run, batch):
            raise
        message = f"{failure.message.removesuffix('.')}, and the database undid it."
        raise _Undone(failure.kind, message, evidence=failure.evidence, hint=AGAIN) from None
    if "message" not in done:
        return list(done["applied"])
    error = raised(done, atomic=batch.atomic)
    if not is_undone(done, atomic=batch.atomic):
        raise error
    raise _Undone(error.kind, error.message, evidence=error.evidence, hint=error.hint)


async def _is_without(run: Run, batch: Batch) -> bool:
    """Whether the database has nothing of `batch`, whose run ended without a word: it is asked again."""
    try:
        found = await _task(run, batch.tool, form=_FOUND, limit=ASK_AGAIN_LIMIT)
    except Failed:
        return False
    lacking = {one["revision"] for one in found.get("pending", ())}
    return batch.atomic and bool(found["transactional"]) and lacking.issuperset(batch.revisions)


async def _task(run: Run, tool: str, *words: str, form: Form, limit: float | None = None) -> dict[str, Any]:
    limit = run.config.migrate_timeout if limit is None else limit
    ended = await run_part(run, "migrate", tool, *words, limit=limit, form=form)
    if ended.found is None:
        what = "Running the migrations" if words else "Reading the migrations"
        message = f"{what} ended {ended.how}."
        raise Failed("migration", message, evidence=ended.printed or "it printed nothing", hint=UNTOLD)
    return ended.found


async def _trouble_of_live(run: Run) -> str:
    """What the live generation gives for its check, where users ask; empty where that is as it should be."""
    if run.plan.previous is None:
        return ""
    try:
        answer = await ask_at_door(run, run.config.check)
    except OSError as error:
        return str(error) or "no answer in time"
    return f"answer: {answer.status}" if answer.status > HIGHEST_GOOD else ""


async def _demand_live_well(run: Run, *, healthy: bool) -> None:
    """Ask what serves once more: one that was down before may be what this deploy mends.

    Raises:
        Failed: the migration broke it.
    """
    for _ in range(LIVE_TRIES):
        trouble = await _trouble_of_live(run)
        if not (healthy and trouble):
            return
        # what a migration broke stays broken; a busy server has its moments
        await run.site.clock.sleep(run.config.check_interval)
    raise Failed(
        "live_broken",
        "Since the migration the live release is unhealthy, and the migration stays.",
        evidence=f"GET {run.config.check}\n{trouble}\n\n{run.migrated}",
        hint="it can't live with the new database: deploy code that can, or undo the migration by hand",
    )
