"""Carries out a plan, step by step; whatever ends it, the machine comes to rest by converge."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

from segue.core.errors import Bug, Failed, Interrupted, SegueError, Stranded
from segue.core.plan import Step
from segue.deploy.apply import apply_record
from segue.deploy.background import shift
from segue.deploy.hooks import tell_of_failure
from segue.deploy.measure import Measurement
from segue.deploy.releases import State
from segue.deploy.run import Run
from segue.deploy.steps import PHASES, STEPS
from segue.disk.atomic import write_json
from segue.proof.receipt import Receipt

# what users may notice: the probe has to be at it before; until then, it starts beside the build
_FELT = frozenset({"after_build", "static", "migrate", "boot", "before_switch", "switch"})


async def execute(run: Run) -> Receipt:
    """Carry out `run`'s plan; its receipt, which is on disk as well.

    Raises nothing that a deploy can meet: a failure is taken back, and stands in the receipt.
    """
    run.began, started_at = run.site.clock.monotonic(), run.site.timestamp()
    for generation in (run.plan.previous, run.plan.generation):
        run.newly_lost(generation)  # before this deploy
    error = await _carry_out(run)
    run.can_be_cancelled = False
    stranded = await _come_to_rest(run)
    if failed := stranded or error:
        await tell_of_failure(run, failed)
    traffic = await _measured(run)
    receipt = _receipt(run, failed, traffic, started_at, run.site.clock.monotonic() - run.began)
    _settle(run, receipt)
    run.say(
        "end", ok=receipt.ok, exit_code=receipt.exit_code, error=receipt.error and receipt.error.as_dict()
    )
    return receipt


async def _carry_out(run: Run) -> SegueError | None:
    try:
        # whoever asks how this one went must not be told of an earlier one of the same generation
        run.site.home.set_receipt_aside(run.plan.generation)
        run.write(run.record.begin(run.plan.generation))
        run.say("begin", by=run.by, **run.plan.as_dict() | {"steps": [step.name for step in run.plan.steps]})
        await _measure(run)
        for step in run.plan.steps:
            if run.measurement and step.name in _FELT:
                await run.measurement.answered()
            if run.needs(step):
                await _take(run, step)
    except asyncio.CancelledError:
        error: SegueError = _interrupted(run)
    except SegueError as failure:
        error = failure
    except OSError as failure:
        error = Failed("system", f"The system refused: {failure}.", evidence=traceback.format_exc(limit=-2))
    except Exception as failure:  # noqa: BLE001 - whatever it is, what serves must come to rest first
        error = Bug("bug", f"segue itself failed: {failure!r}.", evidence=traceback.format_exc())
    else:
        return None
    return _forgive(run, run.site.secrets().hide_in_error(error))


async def _measure(run: Run) -> None:
    """Knock at the users' door from the first step to the last, wherever somebody answers."""
    if run.plan.previous is not None:
        home, name = run.site.home, run.plan.generation
        files = home.probe(name), home.timeline(name)
        files[0].unlink(missing_ok=True)  # an executor that died may have left one, which is no answer
        run.measurement = await Measurement.begin(run.config, run.site.address, *files, run.began)


async def _measured(run: Run) -> dict[str, Any] | None:
    try:
        return await run.measurement.end() if run.measurement else None
    except OSError as failure:
        run.note(f"what the probe measured could not be read: {failure}")
        return None


def _interrupted(run: Run) -> Interrupted:
    step = f"its last step was {run.steps[-1]['name']}" if run.steps else "it had just begun"
    serves = f"{run.plan.previous} serves" if run.plan.previous else "nothing serves"
    hint = "`segue deploy` tries again"
    return Interrupted("interrupted", "Interrupted, and taken back.", evidence=f"{step}; {serves}", hint=hint)


def _forgive(run: Run, error: SegueError) -> SegueError | None:
    """While it is committed nothing is taken back: what fails then is a note, unless somebody has to look."""
    if not run.committed or isinstance(error, Stranded):
        return error
    run.note(f"after the commit: {error.message}")
    return None


async def _take(run: Run, step: Step) -> None:
    if step.name in PHASES:
        run.write(run.record.at(PHASES[step.name]))
    began = run.site.clock.monotonic()
    run.say("step", name=step.name, status="running")
    status, detail = "failed", ""
    try:
        detail = run.site.secrets().hide(await STEPS[step.name](run))
        status = "done"
    finally:
        seconds = round(run.site.clock.monotonic() - began, 3)
        at_s = round(began - run.began, 3)
        done = {"name": step.name, "status": status, "seconds": seconds, "at_s": at_s, "detail": detail}
        run.steps.append(done)
        run.say("step", **done)


async def _come_to_rest(run: Run) -> SegueError | None:
    """One path for every end: make the machine match the settled record; only then write down how it went."""
    stranded: SegueError | None = None
    try:
        await apply_record(run.record.settle(), run.site.processes, run.site.front)
        for text in (await shift(run.site, run.record.settle())).notes():
            run.note(text)
    except (SegueError, OSError) as failure:
        stranded = _not_at_rest(run, failure)
    _count_lost(run)
    if run.committed and run.later and all(step["name"] != "contract" for step in run.steps):
        run.note(f"not run: {run.later}; the next deploy finds it pending, or asks for your word again")
    if run.migrated and not run.committed:
        run.note(f"the database is not taken back, and keeps {run.migrated}")
    try:
        if not run.committed:
            await asyncio.to_thread(_judge_release, run)
    except (OSError, ValueError) as failure:
        run.note(f"the state of {run.plan.release} could not be written: {failure}")
    return stranded


def _count_lost(run: Run) -> None:
    """What the drain step has not counted: only of a generation that served well is anything cut."""
    lost_by_old = run.newly_lost(run.plan.previous)
    if run.committed:
        run.cut += lost_by_old
    else:
        run.held += lost_by_old
    run.held += run.newly_lost(run.plan.generation)


def _not_at_rest(run: Run, failure: Exception) -> SegueError | None:
    """The keeper tries again; after the commit that is a note, for the new release serves."""
    run.at_rest = False
    if run.committed:
        run.note(f"not at rest yet after the commit: {failure}")
        return None
    stranded = Stranded(
        "stranded",
        f"The deploy could not be taken back: {failure}",
        evidence=getattr(failure, "evidence", ""),
        hint="look at `segue status` now; the keeper tries again, and `segue recover` does so at once",
    )
    return run.site.secrets().hide_in_error(stranded)


def _settle(run: Run, receipt: Receipt) -> None:
    """The receipt first: while the record is not at rest, a successor would see to it that there is one."""
    home, settled = run.site.home, run.record.settle()
    try:
        write_json(home.receipt(run.plan.generation), receipt.as_dict())
        home.probe(run.plan.generation).unlink(missing_ok=True)
    except (OSError, ValueError) as failure:
        run.note(f"the receipt could not be written: {failure}")
    try:
        run.write(settled)
    except OSError as failure:
        run.at_rest = False
        run.note(f"the record could not be written, and says {run.record.phase.value} still: {failure}")


def _judge_release(run: Run) -> None:
    releases, release = run.site.releases, run.plan.release
    state = releases.read(release).get("state")
    if state == State.BUILDING:
        releases.remove(release)
        releases.update(release, state=State.FAILED, created=run.site.timestamp(), by=run.by)
    elif state == State.READY:
        releases.update(release, state=State.BAD)
    # a project whose deploys all fail must not fill the disk either
    releases.prune(run.config.keep, run.record.settle())


def _receipt(
    run: Run, error: SegueError | None, traffic: dict[str, Any] | None, started_at: str, seconds: float
) -> Receipt:
    taken = [step["name"] for step in run.steps]
    skipped = [step.name for step in run.plan.steps if step.name not in taken and run.needs(step)]
    steps = [
        *run.steps,
        *(
            {"name": name, "status": "skipped", "seconds": 0.0, "at_s": None, "detail": ""}
            for name in skipped
        ),
    ]
    return Receipt(
        plan=run.plan,
        by=run.by,
        started_at=started_at,
        seconds=round(seconds, 3),
        steps=tuple(steps),
        notes=tuple(run.notes),
        hooks=tuple(run.outputs),
        changes=run.changes,
        watched=run.watched,
        traffic=traffic,
        held_by_crashed=run.held,
        drained=run.drained,
        cut=run.cut,
        error=error,
    )
