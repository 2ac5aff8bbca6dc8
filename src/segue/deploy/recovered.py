"""The receipt of a deploy whose executor died: written by its successor, from what is on disk."""

from __future__ import annotations

from segue.core.errors import Failed
from segue.core.ids import release_of
from segue.core.plan import Plan
from segue.core.record import Phase, Record
from segue.deploy.plan import HANDOFF
from segue.deploy.run import Site
from segue.disk.atomic import read_json, write_json
from segue.proof.receipt import Receipt


def write_interrupted_receipt(site: Site, record: Record) -> None:
    """Leave a receipt for the deploy that `record` was in the middle of, and say so."""
    generation = record.candidate or record.live
    if generation is None or site.home.receipt(generation).exists():
        return
    committed = record.phase is Phase.DRAIN
    previous = record.previous if committed else record.live
    error = None if committed else _taken_back(record)
    probe = read_json(site.home.generation(generation) / "probe.json")
    plan = Plan(
        "deploy", site.home.project.name, "local", HANDOFF, release_of(generation), generation, previous, ()
    )
    notes = (f"the executor died in phase {record.phase.value}; its successor wrote this receipt",)
    receipt = Receipt(
        plan=plan,
        by="",
        started_at=site.timestamp(),
        seconds=0.0,
        steps=(),
        notes=notes,
        watched=None,
        traffic=probe,
        held_by_crashed=0,
        cut=0,
        error=error,
    )
    write_json(site.home.receipt(generation), receipt.as_dict())
    event = {"at": site.timestamp(), "deploy": generation, "event": "end", "ok": receipt.ok}
    site.say(
        {**event, "exit_code": receipt.exit_code, "error": error and error.as_dict(), "notes": list(notes)}
    )


def _taken_back(record: Record) -> Failed:
    return Failed(
        "executor_died",
        f"The executor died in phase {record.phase.value}, and the deploy was taken back.",
        evidence=f"{record.live or 'nothing'} serves",
        hint="was it killed, or out of memory? `segue deploy` tries again",
    )
