"""The watch: both generations serve, and the new one is compared with the old until it may be committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segue.core.durations import format_duration
from segue.core.errors import Failed
from segue.disk.processes import ProcessId
from segue.proof.verdict import Tally, is_worse
from segue.run.counters import Counts
from segue.run.trouble import crashed

if TYPE_CHECKING:
    from segue.deploy.run import Run
    from segue.deploy.seams import Front
    from segue.run.generation import Generation

POLL = 0.1


@dataclass(frozen=True)
class Side:
    """One generation during the watch: what it served since the watch began."""

    generation: Generation
    before: Counts
    front: Front | None = None

    def counts(self) -> Counts:
        """What it has served since."""
        return self.generation.counts() - self.before

    def tally(self) -> Tally:
        """Its answers and errors since; where there is a front, as that saw them, since the deploy began."""
        if self.front is not None:
            return self.front.served(self.generation.name)
        counts = self.counts()
        return Tally(counts.finished, counts.errors)


@dataclass(frozen=True)
class Watch:
    """Both sides, the candidate's master, and what the probe had seen when the watch began."""

    old: Side
    new: Side
    master: ProcessId | None
    probe_before: Tally

    def as_dict(self) -> dict[str, Any]:
        """What the watch saw, for the receipt."""
        return {"old": self.old.counts().as_dict(), "new": self.new.counts().as_dict()}


async def watch_candidate(run: Run) -> str:
    """Watch until the config's time is over and enough requests were answered.

    Raises:
        Failed: the candidate crashed, is worse than the live generation, or answered nothing.
    """
    watch = _begin(run)
    clock, config = run.site.clock, run.config
    began = clock.monotonic()
    try:
        while (elapsed := clock.monotonic() - began) < config.watch_limit:
            if config.auto_rollback:
                _judge(run, watch)
            if elapsed >= config.watch and watch.new.tally().answers >= _wanted(run):
                break
            await clock.sleep(POLL)
        return _verdict(run, watch)
    finally:
        run.watched = watch.as_dict()


def _wanted(run: Run) -> int:
    """How many answers the watch waits for; where nobody counts them, none."""
    return run.config.watch_requests if run.named else 0


def _begin(run: Run) -> Watch:
    if run.plan.previous is None:
        raise RuntimeError("a watch compares with what was there before")
    old, new = run.site.generation(run.plan.previous), run.candidate
    front = run.site.front
    sides = Side(old, old.counts(), front), Side(new, Counts(), front)
    return Watch(*sides, new.master(), _probed(run))


def _probed(run: Run) -> Tally:
    report = run.measurement.report() if run.measurement else None
    return Tally(report["sent"], report["failed"]) if report else Tally(0, 0)


def _judge(run: Run, watch: Watch) -> None:
    if run.candidate.crashes():
        raise crashed(run.candidate)
    master = run.candidate.master()
    # systemd has another in its place at once
    if master is None or master != watch.master or not master.alive():
        raise Failed(
            "crash", f"{run.candidate.name} ended while it served.", evidence=run.candidate.log_tail()
        )
    old, new = watch.old.tally(), watch.new.tally()
    if is_worse(old, new):
        raise _worse("it answered with more server errors", _shown(old, "old"), _shown(new, "new"), run)
    now, before = _probed(run), watch.probe_before
    since = Tally(now.answers - before.answers, now.errors - before.errors)
    if is_worse(before, since):
        raise _worse("the probe lost requests", _shown(before, "before"), _shown(since, "since"), run)


def _shown(tally: Tally, name: str) -> str:
    return f"{name + ':':<8}{tally.errors} of {tally.answers} requests failed"


def _worse(why: str, one: str, other: str, run: Run) -> Failed:
    return Failed(
        "watch",
        f"{run.plan.generation} is worse than {run.plan.previous}: {why}.",
        evidence=f"{one}\n{other}\n\n{run.candidate.log_tail()}",
        hint="it was taken back; set auto_rollback = false to commit a release whatever the watch sees",
    )


def _verdict(run: Run, watch: Watch) -> str:
    answers = watch.new.tally().answers
    if not answers and _wanted(run) and run.config.auto_rollback:
        raise Failed(
            "watch",
            f"{run.plan.generation} answered no request within {format_duration(run.config.watch_limit)}.",
            evidence=run.candidate.log_tail(),
            hint="do its workers hang? Are the requests all on connections that are kept open?",
        )
    return f"{answers} answers by the new release, {watch.old.tally().answers} by the old one"
