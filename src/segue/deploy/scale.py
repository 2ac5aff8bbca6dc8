"""More or fewer workers for the live generation, without a deploy; and the wish carried into the next one."""

from __future__ import annotations

import asyncio
from typing import Any

from segue.config.schema import AppConfig
from segue.core.errors import Failed, Interrupted, Refused, SegueError, UsageError
from segue.deploy.import_check import check_import
from segue.deploy.plan import Ground, plan_start
from segue.deploy.run import Run, Site

MOST_WORKERS = 1000


async def scale_live(site: Site, config: AppConfig, workers: int, by: str) -> dict[str, Any]:
    """Give the live generation `workers` workers, and wait until it has exactly so many; what was done.

    Raises:
        UsageError: that is no number of workers.
        Refused: nothing is live, or its server can't do that.
        Failed: new workers would not boot; there are as many as before.
        Interrupted: it was cancelled; there are as many as before.
    """
    if not 1 <= workers <= MOST_WORKERS:
        raise UsageError(
            "workers",
            f"{workers} is no number of workers.",
            evidence=f"it has to be from 1 to {MOST_WORKERS}",
            hint="to stop the site, stop `segue up`",
        )
    live = site.home.read_record().live
    if live is None:
        hint = "wait until `segue up` says that it serves"
        raise Refused("no_live", "Nothing is live yet.", evidence=f"looked in {site.home.root}", hint=hint)
    was = site.generation(live).workers()
    if workers == was == site.processes.workers(live):
        return {"ok": True, "generation": live, "was": was, "workers": workers, "cut": 0}
    return await _scale(site, config, live, was, workers, by)


async def _scale(site: Site, config: AppConfig, live: str, was: int, workers: int, by: str) -> dict[str, Any]:
    facts = {"event": "scale", "generation": live, "was": was, "workers": workers, "by": by}
    site.say({"at": site.timestamp(), **facts, "status": "running"})
    try:
        cut = await _carry_out(site, config, live, was, workers)
    except SegueError as error:
        site.say({"at": site.timestamp(), **facts, "status": "failed", "error": error.as_dict()})
        raise
    site.say({"at": site.timestamp(), **facts, "status": "done", "cut": cut})
    return {"ok": True, "generation": live, "was": was, "workers": workers, "cut": cut}


async def _carry_out(site: Site, config: AppConfig, live: str, was: int, workers: int) -> int:
    try:
        if workers > was:
            await _demand_importable(site, config, live)
        return await site.processes.scale(live, workers)
    except asyncio.CancelledError:
        raise Interrupted(
            "interrupted",
            "Interrupted, and taken back.",
            evidence=f"{live} has {was} workers",
            hint=f"`segue scale {workers}` tries again",
        ) from None
    except OSError as error:
        raise Failed(
            "system",
            f"The system refused: {error}.",
            evidence=f"{live} has {was} workers",
            hint="nothing that serves was taken away",
        ) from error


async def _demand_importable(site: Site, config: AppConfig, live: str) -> None:
    """Import the app apart from everything: one worker that can't be booted would end the whole master."""
    release, number = live.rsplit(".", 1)
    ground = Ground(config, site.target, site.strategy, live)
    plan = plan_start(ground, release, int(number), verb="scale")
    run = Run(plan, config, site, site.home.read_record(), site.releases.read(release)["module"], "")
    try:
        await check_import(run)
    except Failed as error:
        error.hint = "no worker was started; when it was deployed, the app could be imported"
        raise


def carried_over(run: Run) -> int | None:
    """The number of workers that somebody scaled the live generation to, where the config has another."""
    live = run.record.live
    scaled = None if live is None else run.site.generation(live).scaled()
    if scaled is None or scaled == run.config.workers:
        return None
    written = "no number of workers" if run.config.workers is None else f"{run.config.workers} workers"
    run.note(f"{written} in the config, {scaled} by `segue scale`")
    return scaled
