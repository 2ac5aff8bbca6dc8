"""The steps of a deploy, one function each, in the order of the plan; each says briefly how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from segue.core.ids import release_of
from segue.core.record import Phase
from segue.deploy import import_check
from segue.deploy import migrate as migrations
from segue.deploy.apply import apply_record
from segue.deploy.background import shift
from segue.deploy.builder import have_built
from segue.deploy.changes import code_changes
from segue.deploy.commands import in_thread
from segue.deploy.env import check_environment, take_fingerprint
from segue.deploy.hooks import run_hooks, run_settled_hooks
from segue.deploy.releases import State
from segue.deploy.room import demand_room
from segue.deploy.run import Run
from segue.deploy.scale import carried_over
from segue.deploy.static import forget_static, make_static
from segue.deploy.verify import verify_candidate
from segue.deploy.watch import watch_candidate
from segue.run.counters import Counts
from segue.run.servers import fitting_servers, loses_requests
from segue.run.start import start_document

MOST_GENERATIONS = 3
POLL = 0.1
# the word to a generation that no new request comes to, and that may be needed again
ASIDE = "aside"
# seconds; its workers look for that word now and then, and clients have to close their side too. Nobody waits
# for it but where a client holds on to the old one.
ASIDE_GRACE = 10.0


async def env(run: Run) -> str:
    """Ask once more for what the plan went by, and tell what is new in the environment."""
    met = check_environment(run.site, run.contract, run.record.live)
    for text in met.notes:
        run.note(text)
    run.changes["env"] = met.new
    return f"{len(met.keys)} keys as the app needs them" if met.keys else ""


async def build(run: Run) -> str:
    """Source to release: the code, and a virtual environment of its own."""
    release, source = run.plan.release, run.source
    if source is None:
        raise RuntimeError("a plan that builds has a source")
    await in_thread(demand_room, run)
    facts = {"revision": source.revision, "commit": source.commit, "dirty": source.dirty}
    run.site.releases.update(release, state=State.BUILDING, created=run.site.timestamp(), by=run.by, **facts)
    run.site.releases.update(release, env=run.contract.as_list())
    built = await _built(run)
    run.changes |= code_changes(run, source, built.pop("packages"))
    run.site.releases.update(release, state=State.READY, module=run.module, **built)
    return f"{built['files']} files"


async def _built(run: Run) -> dict[str, Any]:
    home = run.site.home
    spec = {
        "project": str(home.project),
        "release": str(home.release(run.plan.release)),
        "before": run.plan.previous and str(home.release(release_of(run.plan.previous))),
        "source": {**asdict(run.source), "folder": str(run.source.folder)} if run.source else None,
        "cache": str(home.cache),
        "shared": [str(path) for path in run.config.shared],
        "python": None if run.config.python is None else str(run.config.python),
        "extras": run.config.extras,
        "groups": run.config.groups,
        "servers": fitting_servers(run.config),
        "hidden": run.site.tasks.hidden,
    }
    return await have_built(run, "segue.build", spec)


async def static(run: Run) -> str:
    """Make the static files, and have every release on disk answer for those of all."""
    return await make_static(run)


async def import_(run: Run) -> str:
    """Import the app once, apart from everything that serves."""
    return await import_check.check_import(run)


async def migrate(run: Run) -> str:
    """Bring the database to where the release needs it, unless what serves could not live with that."""
    return await migrations.migrate(run)


async def contract(run: Run) -> str:
    """Run the migrations that the old generation could not have lived with; it is gone."""
    return await migrations.contract(run)


async def boot(run: Run) -> str:
    """Start the candidate beside what serves, and wait for its first worker."""
    await _room(run)
    site, name = run.site, run.plan.generation
    site.releases.update(run.plan.release, starts=site.releases.next_start(run.plan.release))
    found, scaled = site.releases.read(run.plan.release), carried_over(run)
    document = start_document(
        run.config if scaled is None else run.config.model_copy(update={"workers": scaled}),
        site.address if site.front is None else site.front.address(name),
        generation=name,
        folder=run.candidate.folder,
        project=site.home.project,
        release=site.home.release(run.plan.release),
        python=site.releases.python(run.plan.release),
        module=run.module,
        server=found["server"],
        interface=found["interface"],
        environ=site.environ,
    )
    run.candidate.prepare({**document, "scaled": scaled})
    # the environment may be refused, and nothing has started yet
    fingerprint = take_fingerprint(run)
    await site.processes.spawn(name)
    fingerprint.leave(run.candidate.folder)
    await site.processes.first_ready(name)
    _tell_settings(run)
    return ""


def _tell_settings(run: Run) -> None:
    if run.config.processes and run.site.background is None:
        names = ", ".join(run.config.processes)
        run.note(f"not started here: {names}; [processes] run on servers only")
    booted = run.candidate.booted()
    if booted is None:
        return  # a server without the gate settles on things in silence
    theirs = f"the app's {booted['server'].capitalize()} settings"
    for name, value in booted.get("overruled", {}).items():
        run.note(f"{theirs} have {name} = {value}: overruled, {name} is segue's")
    if loses_requests(booted["server"], booted["version"], booted["worker_class"]):
        run.note(
            f"Gunicorn {booted['version']}'s gthread workers drop requests when they stop: use 27.0 or newer"
        )


async def _room(run: Run) -> None:
    told = False
    while len(alive := run.site.processes.observe()) >= MOST_GENERATIONS:
        if not told:
            run.note(
                f"{len(alive)} generations are alive; waiting for one of {', '.join(sorted(alive))} to leave"
            )
        told = True
        await run.site.clock.sleep(POLL)


async def ready(run: Run) -> str:
    """Wait until every worker of the candidate is ready."""
    await run.site.processes.all_ready(run.plan.generation)
    workers = len(run.candidate.ready_workers())
    return f"{workers} workers" if workers else "it listens"


async def switch(run: Run) -> str:
    """Let the candidate accept, be the live one up or not: its being down may be what this deploy mends."""
    run.candidate.take_back(ASIDE)
    run.site.processes.go(run.plan.generation)
    if run.site.front is not None:
        await run.site.front.healthy(run.plan.generation)
        run.site.front.route(run.plan.generation)
    return ""


async def verify(run: Run) -> str:
    """Ask where users ask, whether it is the candidate that answers."""
    return await verify_candidate(run)


async def watch(run: Run) -> str:
    """Compare both sides while both serve."""
    return await watch_candidate(run)


async def commit(run: Run) -> str:
    """The one write after which the candidate is the live generation."""
    old = run.record.live
    run.can_be_cancelled = False
    touched = {run.plan.release} if old is None else {run.plan.release, release_of(old)}
    run.uncommitted = run.record, {release: run.site.releases.read(release) for release in touched}
    # nothing is kept warm that can't live with what its database will be
    warm = run.site.front is not None and run.config.standby > 0 and run.later is None
    run.write(run.record.commit(standby=warm))
    run.site.releases.update(run.plan.release, state=State.GOOD, live_at=run.site.timestamp())
    if run.plan.verb == "rollback" and old is not None:
        run.site.releases.update(release_of(old), state=State.BAD)
    run.site.home.point_current(run.record)
    return ""


async def processes(run: Run) -> str:
    """Start the app's other processes; those before them finish what they hold, and leave.

    A rollback is not taken back for any of them: its release may be older than they are.

    Raises:
        Failed: one that is required does not stay up; the commit is taken back.
    """
    demanding = run.plan.verb != "rollback"
    done = await shift(run.site, run.record, demanding=demanding, patient=True)
    if demanding and done.lacking:
        _take_commit_back(run)
        raise done.lacking
    for text in done.notes():
        run.note(text)
    return f"{len(done.started) - len(done.failed)} started"


def _take_commit_back(run: Run) -> None:
    """As if it had failed in the watch: converge leads back to what served before."""
    if run.uncommitted is None:
        raise RuntimeError("there was a commit")
    record, releases = run.uncommitted
    for release, facts in releases.items():
        run.site.releases.update(release, state=facts.get("state"), live_at=facts.get("live_at"))
    run.write(record)
    if run.record.live is None:
        run.site.home.current.unlink(missing_ok=True)
    run.site.home.point_current(run.record)


async def drain(run: Run) -> str:
    """The old generation finishes what it holds, and leaves."""
    old = None if run.plan.previous is None else run.site.generation(run.plan.previous)
    before = Counts() if old is None else old.counts()
    run.held += run.newly_lost(run.plan.previous)
    await _stand_by(run)
    await apply_record(run.record, run.site.processes, run.site.front)
    if old is None:
        return ""
    run.cut += run.newly_lost(run.plan.previous)
    run.drained = (old.counts() - before).drained
    told = {"drained": run.drained, "cut": run.cut}
    return ", ".join(f"{number} {what}" for what, number in told.items() if number)


async def _stand_by(run: Run) -> None:
    """Keep the old generation warm, once nobody holds on to it: its endless streams are closed in order."""
    old = run.record.standby
    if old is None or run.site.front is None:
        return
    run.site.generation(old).tell(ASIDE)
    if not await run.site.front.deserted(old, run.config.drain_timeout + ASIDE_GRACE):
        run.note(f"{old} holds connections still, and leaves instead of being kept warm")
        run.write(run.record.stand_down())


async def prune(run: Run) -> str:
    """Keep as many good releases as the config says."""
    removed = await asyncio.to_thread(run.site.releases.prune, run.config.keep, run.record)
    files = await forget_static(run)
    told = (f"removed {len(removed)}" if removed else "", f"{files} static files" if files else "")
    return ", and ".join(filter(None, told))


async def after_build(run: Run) -> str:
    """The user's commands once the release is built."""
    return await run_hooks(run, "after_build")


async def before_switch(run: Run) -> str:
    """The user's commands before the first user comes."""
    return await run_hooks(run, "before_switch")


async def after_commit(run: Run) -> str:
    """The user's commands once the candidate is live."""
    return await run_settled_hooks(run, "after_commit")


async def after_rollback(run: Run) -> str:
    """The user's commands once the candidate is live again."""
    return await run_settled_hooks(run, "after_rollback")


StepFunction = Callable[[Run], Awaitable[str]]

STEPS: dict[str, StepFunction] = {
    "env": env,
    "build": build,
    "after_build": after_build,
    "static": static,
    "import": import_,
    "migrate": migrate,
    "boot": boot,
    "ready": ready,
    "before_switch": before_switch,
    "switch": switch,
    "verify": verify,
    "watch": watch,
    "commit": commit,
    "processes": processes,
    "after_commit": after_commit,
    "after_rollback": after_rollback,
    "drain": drain,
    "contract": contract,
    "prune": prune,
}

# the phase that the record is in while a step runs; commit writes its own
PHASES: dict[str, Phase] = {
    "build": Phase.BUILD,
    "static": Phase.STATIC,
    "import": Phase.IMPORT,
    "migrate": Phase.MIGRATE,
    "boot": Phase.BOOT,
    "ready": Phase.READY,
    "switch": Phase.SWITCH,
    "watch": Phase.WATCH,
}
