"""Hooks: commands of the user's at named places of a deploy, in the release that the place is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segue.core.errors import Failed, SegueError
from segue.deploy.of_release import Ended, run_in_release

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segue.deploy.run import Run


async def run_hooks(run: Run, place: str) -> str:
    """Run the candidate's hooks at `place`, one after the other.

    Raises:
        Failed: one did not end well; those after it are not run.
    """
    commands = getattr(run.config.hooks, place)
    for command in commands:
        ended = await _run(run, place, command, run.plan.generation, {})
        if not ended.well:
            raise Failed(
                "hook",
                f"The hook `{command[0]}` at {place} {ended.status}.",
                evidence=ended.evidence(),
                hint="it runs in the release, as the app's user; what failed was taken back",
            )
    return f"{len(commands)} ended well"


async def run_settled_hooks(run: Run, place: str) -> str:
    """Run the candidate's hooks at `place`, where nothing can be taken back: what fails is a note."""
    try:
        return await run_hooks(run, place)
    except (SegueError, OSError) as error:
        run.note(f"{error}\n{getattr(error, 'evidence', '')}".rstrip())
        return "one failed"


async def tell_of_failure(run: Run, error: SegueError) -> None:
    """Run the hooks for a failure that was taken back, in the release that serves; each has its chance."""
    live = run.record.live
    if run.config.hooks.on_failure and live is None:
        run.note("on_failure was not run: no release serves that it could run in")
        return
    for command in run.config.hooks.on_failure:
        # not what it says: that may be the app's, and a command's environment can be seen on a server
        told = {"SEGUE_ERROR_KIND": error.kind}
        try:
            ended = await _run(run, "on_failure", command, str(live), told)
        except (SegueError, OSError) as trouble:
            run.note(f"on_failure could not be run: {trouble}")
        else:
            if not ended.well:
                run.note(f"The hook `{command[0]}` at on_failure {ended.status}.\n{ended.evidence()}")


async def _run(
    run: Run, place: str, command: tuple[str, ...], generation: str, more: Mapping[str, str]
) -> Ended:
    plan = run.plan
    told = {
        "SEGUE_HOOK": place,
        "SEGUE_APP": plan.app,
        "SEGUE_TARGET": plan.target,
        "SEGUE_VERB": plan.verb,
        "SEGUE_CANDIDATE": plan.generation,
        "SEGUE_PREVIOUS": plan.previous or "",
        **more,
    }
    limit = run.config.hooks.timeout
    ended = await run_in_release(run, command, generation=generation, told=told, limit=limit)
    secrets = run.site.secrets()
    shown, printed = secrets.hide(ended.shown), secrets.hide(ended.printed)
    run.outputs.append({"hook": place, "command": shown, "status": ended.status, "printed": printed})
    return ended
