"""One reload from its first step to its receipt."""

from __future__ import annotations

import asyncio
import math
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from segue.core.durations import format_duration
from segue.core.errors import Bug, Failed, Interrupted, SegueError, Stranded
from segue.core.plan import Plan
from segue.core.secrets import Secrets
from segue.deploy.measure import Measurement
from segue.disk.atomic import write_json
from segue.disk.events import Event
from segue.disk.lock import user_name
from segue.proof.receipt import Receipt
from segue.proof.spec import ProbeSpec
from segue.reload.door import Witness
from segue.reload.hup import hang_up
from segue.reload.look import Looked
from segue.reload.plan import HUP, ROLL, Wish
from segue.reload.prove import Proof, demand_door, prove
from segue.reload.release import Flip
from segue.reload.roll import Roll
from segue.reload.room import at_once
from segue.reload.shadow import Booted, boot
from segue.reload.state import State

_GRACE = 5.0
_LONGEST_ANSWER = 60.0

Say = Callable[[Event], None]


@dataclass
class Run:
    """A reload under way."""

    wish: Wish
    looked: Looked
    strategy: str
    flip: Flip | None
    plan: Plan
    state: State
    say: Say
    began: float = field(default_factory=time.monotonic)
    steps: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    booted: Booted | None = None
    roll: Roll | None = None
    proof: Proof | None = None
    witness: Witness | None = None
    current: asyncio.Task[str] | None = None
    is_interrupted: bool = False

    def interrupt(self) -> None:
        """Have it taken back; once new workers are asked for it goes on to its end, which is near.

        The shadow has shown that they will boot, and Gunicorn knows no way to take the youngest away.
        """
        if self.roll is not None:
            self.say(
                {"event": "say", "text": "too late to take it back: new workers are on their way; a moment"}
            )
            return
        self.is_interrupted = True
        if self.current is not None:
            self.current.cancel()
            # once: to take it back has to come to its end
            self.current = None

    @property
    def url(self) -> str:
        """What users ask for."""
        return self.looked.service.door.url(self.wish.check)

    def note(self, text: str) -> None:
        """Say what people should know though nothing failed."""
        self.notes.append(text)
        self.say({"event": "note", "text": text})


async def carry_out(run: Run) -> Receipt:
    """Carry out `run`'s plan; its receipt, which is on disk as well."""
    run.began, started_at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    service = run.looked.service
    names = [step.name for step in run.plan.steps]
    run.say({"event": "begin", **run.plan.as_dict(), "steps": names})
    run.witness = Witness(service.door)
    spec = ProbeSpec(
        url=run.url,
        connect=str(service.door.connect),
        insecure=True,
        rate=run.wish.rate,
        timeout=max(_LONGEST_ANSWER, run.wish.ready_timeout),
        report=str(run.state.probe),
    )
    run.state.probe.unlink(missing_ok=True)  # what the last one said
    measurement = await Measurement.of(spec)
    error = await _guarded(run)
    traffic = await measurement.end()
    receipt = _receipt(run, error, traffic, started_at, time.monotonic() - run.began)
    write_json(run.state.receipt(run.plan.generation), document(run, receipt))
    return receipt


def document(run: Run, receipt: Receipt) -> dict[str, Any]:
    """The receipt, and what was proved, as ``--json`` prints it and the disk keeps it."""
    proof = None if run.proof is None else run.proof.as_dict()
    return {**receipt.as_dict(), "proof": proof, "file": str(run.state.receipt(run.plan.generation))}


async def _guarded(run: Run) -> SegueError | None:
    try:
        for step in run.plan.steps:
            await _take(run, step.name)
    except asyncio.CancelledError:
        error: SegueError = Interrupted("interrupted", "Interrupted, and taken back.")
    except SegueError as failure:
        error = failure
    except OSError as failure:
        error = Failed("system", f"The system refused: {failure}.", evidence=traceback.format_exc(limit=-2))
    except Exception as failure:  # noqa: BLE001 - whatever it is, what serves must come to rest first
        error = Bug("bug", f"segue itself failed: {failure!r}.", evidence=traceback.format_exc())
    else:
        return None
    return Secrets(run.looked.service.environ).hide_in_error(await _back(run, error))


async def _back(run: Run, error: SegueError) -> SegueError:
    """Have all be as before; what became of it."""
    flip = run.flip
    try:
        if flip is not None and flip.done:
            flip.back()
            if run.roll is not None and run.roll.new():
                run.say({"event": "say", "text": f"rolling back to {flip.before}"})
                await _roll(run)
            run.note(f"{flip.link} leads to {flip.before} again")
    except (SegueError, OSError) as failure:
        return Stranded(
            "stranded",
            f"What failed could not be taken back: {failure}",
            evidence=f"{error.message}\n{error.evidence}",
            hint=f"`systemctl status {run.looked.service.unit.name}`, now",
        )
    if flip is None and run.roll is not None and run.roll.new():
        # there is no old code to go back to: it was replaced where it lies
        return Stranded(error.kind, error.message, evidence=error.evidence, hint=error.hint)
    return error


async def _take(run: Run, name: str) -> None:
    if run.is_interrupted:  # between two steps, or before the first
        raise asyncio.CancelledError
    began = time.monotonic()
    run.say({"event": "step", "name": name, "status": "running"})
    status, detail = "failed", ""
    try:
        run.current = asyncio.create_task(STEPS[name](run))
        detail = await run.current
        status = "done"
    finally:
        seconds = round(time.monotonic() - began, 3)
        at_s = round(began - run.began, 3)
        done = {"name": name, "status": status, "seconds": seconds, "at_s": at_s, "detail": detail}
        run.steps.append(done)
        run.say({"event": "step", **done})


async def _shadow(run: Run) -> str:
    service = run.looked.service
    way = service.way("" if run.strategy == HUP else None)
    if run.flip is not None:
        way = run.flip.rebased(way)
    door = service.door
    scheme = "https" if door.is_secure else "http"
    headers = (
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", scheme),
        ("X-Forwarded-Host", door.host),
    )
    url = f"http://{door.host}{run.wish.check}"
    await demand_door(service, run.url, headers, url)
    run.booted = await boot(way, url, headers, run.wish.ready_timeout)
    if run.strategy == ROLL:  # while nothing has to be taken back
        at_once(service, 1, run.booted.memory)
    return f"answered {run.booted.status} after {format_duration(run.booted.seconds)}"


async def _flip(run: Run) -> str:
    if run.flip is None:
        raise RuntimeError("it was planned")
    run.flip.forth()
    return f"{run.flip.link} leads to {run.flip.release}"


async def _roll(run: Run) -> str:
    service, count = run.looked.service, _count(run)
    run.roll = roll = Roll(
        service,
        count,
        ready_timeout=run.wish.ready_timeout,
        drain_timeout=_drain_timeout(run),
    )
    batch = at_once(service, count, run.booted.memory if run.booted else 0)
    if batch < count:
        run.note(f"there is no memory for {2 * count} workers: {batch} at a time")
    run.state.begin(service.master.process, count)
    try:
        await roll.run(batch)
    except BaseException:
        # where it was begun the next reload has to know how many there should be
        if not (roll.added or roll.new()) and len(service.master.workers()) == count:
            run.state.end()
        raise
    run.state.end()
    return (
        f"{count} new workers accepted before the old ones left" if batch == count else f"{count}, one by one"
    )


async def _hup(run: Run) -> str:
    service = run.looked.service
    seconds = run.booted.seconds if run.booted else 0.0
    run.note(f"requests wait for the import now, about {format_duration(seconds)}")
    # HUP forgets what TTIN and TTOU said
    count = int(run.looked.settings["settings"]["workers"])
    run.roll = Roll(service, count, run.wish.ready_timeout, _drain_timeout(run))
    waited = await hang_up(run.roll)
    run.state.has_read(service.master.process, time.time())
    run.state.end()
    return f"every worker was replaced; nobody accepted for {format_duration(waited)}"


async def _prove(run: Run) -> str:
    if run.roll is None or run.booted is None:
        raise RuntimeError("it was planned")
    run.proof = await prove(run.looked, run.roll, run.booted, run.url)
    complaints = run.witness.complaints() if run.witness else []
    run.proof.complaints.extend(complaints)
    if complaints:
        run.note(f"nginx logged {len(complaints)} failures meanwhile, the first: {complaints[0][:300]}")
    for text in run.proof.notes:
        run.note(text)
    return run.proof.describe()


STEPS = {"shadow": _shadow, "flip": _flip, ROLL: _roll, HUP: _hup, "prove": _prove}


def _count(run: Run) -> int:
    service = run.looked.service
    left = run.state.left_at(service.master.process)
    if left is not None and run.roll is None:  # else it is ours, on the way back
        run.note(
            f"a reload was cut short before: there are {len(service.workers)} workers, and {left} are wanted"
        )
    return left or len(service.master.workers())


def _drain_timeout(run: Run) -> float:
    settings = run.looked.settings["settings"]
    if settings.get("timeout") == 0:  # Gunicorn's word for never
        return math.inf
    longest = max(float(settings.get(name) or 0) for name in ("graceful_timeout", "timeout"))
    return longest + _GRACE


def _receipt(
    run: Run, error: SegueError | None, traffic: dict[str, Any] | None, started_at: str, seconds: float
) -> Receipt:
    return Receipt(
        plan=run.plan,
        by=os.environ.get("SUDO_USER") or user_name(),
        started_at=started_at,
        seconds=round(seconds, 3),
        steps=tuple(run.steps),
        notes=tuple(run.notes),
        hooks=(),
        changes={},
        watched=None,
        traffic=traffic,
        held_by_crashed=0,
        drained=0,
        cut=run.roll.cut if run.roll else 0,
        error=error,
    )
