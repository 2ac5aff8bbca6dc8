"""The migrate step: brings the database to where the release needs it, without harm to what serves.

Migrations are the one thing that a deploy does not take back: they are judged before anything is changed.
"""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.core.errors import Failed
from segue.deploy.judge import UNTOLD, Judged, is_undone, judge, raised
from segue.deploy.of_release import run_in_release
from segue.deploy.task import run_part
from segue.deploy.verify import HIGHEST_GOOD, ask_at_door
from segue.disk.forms import Form

if TYPE_CHECKING:
    from segue.deploy.run import Run

# by the file that says so, in this order
TOOLS = {"alembic": "alembic.ini", "flask-migrate": "migrations/alembic.ini", "django": "manage.py"}
# others call a script of theirs manage.py, too
_OF_DJANGO = b"DJANGO_SETTINGS_MODULE"
MOST_NAMED = 5
LIVE_TRIES = 3

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
        "pending": [{**dict.fromkeys(("revision", "class", "why", "where"), str), "atomic": bool}],
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
    if not judged.pending:
        return "nothing to migrate"
    for text in judged.notes(run.plan.release):
        run.note(text)
    healthy = not await _trouble_of_live(run)
    # before anything is changed: whoever comes after a death has to know of it
    run.site.releases.update(run.plan.release, migrated_from=judged.at)
    if judged.contracts:
        run.site.releases.bar_rollbacks(past=run.plan.release)
    if not await _run(run, tool, judged):
        return "nothing to migrate: another deploy did meanwhile"
    run.migrated = _told(judged)
    await _demand_live_well(run, healthy=healthy)
    return run.migrated


async def _run(run: Run, tool: str, judged: Judged) -> list[str]:
    """Run what was judged; the revisions that were."""
    try:
        how = "atomic" if judged.atomic else "piecemeal"
        done = await _task(run, tool, how, *judged.revisions, form=_DONE)
    except asyncio.CancelledError:
        run.note(f"interrupted in a migration: {UNTOLD}")
        raise
    if "message" in done:
        if is_undone(done, atomic=judged.atomic):
            run.site.releases.update(run.plan.release, migrated_from=None)
            run.site.releases.allow_rollbacks(past=run.plan.release)
        raise raised(done, atomic=judged.atomic)
    return list(done["applied"])


async def _task(run: Run, tool: str, *words: str, form: Form) -> dict[str, Any]:
    ended = await run_part(run, "migrate", tool, *words, limit=run.config.migrate_timeout, form=form)
    if ended.found is None:
        what = "Running the migrations" if words else "Reading the migrations"
        message = f"{what} ended {ended.how}."
        raise Failed("migration", message, evidence=ended.printed or "it printed nothing", hint=UNTOLD)
    return ended.found


def _told(judged: Judged) -> str:
    names = [f"{one.revision} {one.kind}" for one in judged.pending]
    more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return f"{len(names)} migration{'s' * (len(names) > 1)}: {', '.join([*names[:MOST_NAMED], *more])}"


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
        hint="the old code can't live with the new database: deploy code that can, or undo it by hand",
    )
