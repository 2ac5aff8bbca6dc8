"""The receipt of a deploy whose executor died: written by its successor, from what is on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from segue.core.errors import Failed, SegueError, Stranded
from segue.core.ids import release_of
from segue.core.plan import Plan
from segue.core.record import Phase, Record
from segue.deploy.releases import State
from segue.deploy.run import Site
from segue.disk.atomic import read_if_whole, write_json
from segue.disk.events import Event, read_events
from segue.disk.forms import fits
from segue.proof.receipt import STEP, TRAFFIC, Receipt

_DIED = "the executor died"


def write_interrupted_receipt(site: Site, record: Record) -> None:
    """Leave a receipt for the deploy that `record` was in the middle of, and say so."""
    generation = record.candidate or record.live
    if generation is None:
        return
    if record.phase is Phase.DRAIN:
        _mark_good(site, release_of(generation))
    if site.home.receipt(generation).exists():
        return
    receipt = _receipt(site, record, generation)
    write_json(site.home.receipt(generation), receipt.as_dict())
    event = {"at": site.timestamp(), "deploy": generation, "event": "end", "ok": receipt.ok}
    error = receipt.error and receipt.error.as_dict()
    site.say({**event, "exit_code": receipt.exit_code, "error": error, "notes": list(receipt.notes)})


def _mark_good(site: Site, release: str) -> None:
    """The executor may have died between the commit and this."""
    if site.releases.read(release).get("state") == State.READY:
        site.releases.update(release, state=State.GOOD, live_at=site.timestamp())


def _receipt(site: Site, record: Record, generation: str) -> Receipt:
    committed = record.phase is Phase.DRAIN
    previous = record.previous if committed else record.live
    told = _told_last(event for event in read_events(site.home.events) if event.get("deploy") == generation)
    begin: Event = next((event for event in told if event.get("event") == "begin"), {})
    steps = tuple(_steps(told))
    folder = site.home.generation(generation)
    crashes = site.generation(generation).crashes() if folder.exists() else []
    return Receipt(
        plan=_plan(site, generation, previous, begin),
        by=str(begin.get("by", "")),
        started_at=str(begin.get("at", site.timestamp())),
        seconds=_since(site, begin),
        steps=steps,
        hooks=(),
        changes={},
        notes=(
            f"the executor died in phase {record.phase.value}; its successor wrote this receipt",
            *_of_database(site, generation),
        ),
        watched=None,
        traffic=read_if_whole(site.home.probe(generation), TRAFFIC),
        held_by_crashed=sum(crash["held"] for crash in crashes),
        drained=0,
        cut=0,
        error=_error(record, release_of(generation), steps),
    )


def _told_last(told: Iterable[Event]) -> list[Event]:
    """What was told since the last beginning: a generation that was kept warm is brought in once more."""
    last: list[Event] = []
    for event in told:
        if event.get("event") == "begin":
            last.clear()
        last.append(event)
    return last


def _of_database(site: Site, generation: str) -> list[str]:
    before = site.releases.read(release_of(generation)).get("migrated_from")
    if before is None:
        return []
    at = before or "no revision"
    return [f"it may have migrated the database, which was at {at}: a migration is not taken back"]


def _plan(site: Site, generation: str, previous: str | None, begin: Event) -> Plan:
    verb, app = str(begin.get("verb", "deploy")), str(begin.get("app", site.home.project.name))
    return Plan(verb, app, site.target, site.strategy, release_of(generation), generation, previous, ())


def _since(site: Site, begin: Event) -> float:
    try:
        return round((site.now() - datetime.fromisoformat(begin["at"])).total_seconds(), 3)
    except (KeyError, TypeError, ValueError):
        return 0.0  # the log is for people, and may be damaged


def _steps(told: list[Event]) -> Iterator[dict[str, Any]]:
    """The steps that ended, and the one that its executor did not outlive."""
    steps = [event for event in told if event.get("event") == "step"]
    for event in steps:
        if fits(event, STEP):
            yield {key: event.get(key) for key in STEP}
    if steps and steps[-1].get("status") == "running":
        name = str(steps[-1].get("name"))
        yield {"name": name, "status": "failed", "seconds": 0.0, "at_s": None, "detail": _DIED}


def _error(record: Record, release: str, steps: tuple[dict[str, Any], ...]) -> SegueError | None:
    if record.phase is not Phase.DRAIN:
        return _taken_back(record)
    last = steps[-1] if steps else {}
    if (last.get("name"), last.get("detail")) != ("contract", _DIED):
        return None
    return Stranded(
        "executor_died",
        f"{release} is live, and the executor died while it migrated the database.",
        evidence="nobody has asked the database since",
        hint="look at its revision; the next deploy finds what is pending, or asks for your word again",
    )


def _taken_back(record: Record) -> Failed:
    return Failed(
        "executor_died",
        f"The executor died in phase {record.phase.value}, and the deploy was taken back.",
        evidence=f"{record.live or 'nothing'} serves",
        hint="was it killed, or out of memory? `segue deploy` tries again",
    )
