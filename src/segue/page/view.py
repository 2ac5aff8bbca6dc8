"""What a receipt's page says, as values: made from documents, and handed to a template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segue.core.durations import format_duration
from segue.core.errors import SegueError, error_from_dict
from segue.page.timeline import Document, Shown, show_timeline
from segue.page.words import NOTHING, Moment, count, milliseconds, moment, seconds
from segue.proof.told import lost_requests, side_of_watch, verdict_of, was_measured

# what nobody checks when a receipt is read, or earlier ones did not have
_LACKING: Document = {
    **dict.fromkeys(("app", "target", "strategy"), ""),
    **dict.fromkeys(("previous", "traffic", "watch", "drained", "changes")),
    "hooks": [],
    "exit_code": 1,
}
_STATUS = {"done": "done", "failed": "failed", "skipped": "not reached"}


@dataclass(frozen=True)
class Figure:
    """One number of the first screen.

    Attributes:
        name: what it counts.
        value: how many, or how much.
        note: what it is of; may be empty.
        bad: whether it should be zero, and is not.
    """

    name: str
    value: str
    note: str = ""
    bad: bool = False


@dataclass(frozen=True)
class Step:
    """One phase of the deploy."""

    name: str
    status: str
    began: str
    took: str
    detail: str


@dataclass(frozen=True)
class Failure:
    """A request that failed, and what was seen of that."""

    shot: str
    kind: str
    detail: str


@dataclass(frozen=True)
class Change:
    """One kind of what is other than before, line by line; none says why it may be none."""

    name: str
    lines: tuple[str, ...]
    none: str


@dataclass(frozen=True)
class View:
    """A receipt's page.

    Attributes:
        receipt: the receipt itself, with what earlier ones lacked.
        verdict: its first sentence.
        error: why it did not go live; None where it did.
        started: when it began.
        figures: the numbers on top.
        rate: how often the probe asked.
        shown: the requests one by one; None where they were not kept.
        failed: how many requests the probe lost.
        failures: the first of them, as it saw them.
        watch: what users' own requests met, by side.
        changes: what is other than in the release before.
        steps: the phases.
        command: what prints the same on a terminal.
    """

    receipt: Document
    verdict: str
    error: SegueError | None
    started: Moment
    figures: tuple[Figure, ...]
    rate: str
    shown: Shown | None
    failed: int
    failures: tuple[Failure, ...]
    watch: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    command: str


def view_of(receipt: Document, timeline: Document | None) -> View:
    """The page of `receipt`, with its `timeline` where that was kept."""
    receipt = {**_LACKING, **receipt}
    error = receipt["error"]
    where = "" if receipt["target"] in ("", None, "local") else f" --target {receipt['target']}"
    watch = receipt.get("watch")
    return View(
        receipt=receipt,
        verdict=verdict_of(receipt),
        error=None if error is None else error_from_dict(error, receipt["exit_code"]),
        started=moment(receipt["started_at"]),
        figures=tuple(_figures(receipt)),
        rate=_rate(receipt),
        shown=show_timeline(receipt, timeline),
        failed=(receipt["traffic"] or {"failed": 0})["failed"],
        failures=tuple(_failures(receipt)),
        watch=tuple((side, side_of_watch(watch[side])) for side in ("old", "new")) if watch else (),
        changes=tuple(_changes(receipt)),
        steps=tuple(_step(step) for step in receipt["steps"]),
        command=f"segue receipt {receipt['generation']}{where}",
    )


def _rate(receipt: Document) -> str:
    rate = (receipt["traffic"] or {}).get("rate")
    return f"{rate:g} a second" if isinstance(rate, int | float) else "sent"


def _failures(receipt: Document) -> list[Failure]:
    found = (receipt["traffic"] or {}).get("samples")
    samples = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return [Failure(*(str(sample.get(key, "")) for key in ("shot", "kind", "detail"))) for sample in samples]


def _figures(receipt: Document) -> list[Figure]:
    traffic, lost = receipt.get("traffic"), lost_requests(receipt)
    of = f"of {count(traffic['sent'])} sent" if traffic else "nobody counted"
    figures = [Figure("Lost", count(lost) if was_measured(receipt) else NOTHING, of, bad=lost > 0)]
    if traffic:
        note = "spoilt: the probe itself was late" if traffic.get("spoilt") else "of those that succeeded"
        figures += [
            Figure("Slowest", milliseconds(traffic["latency_ms"].get("max")), note),
            Figure("Longest gap", milliseconds(traffic["longest_gap_ms"]), "without a success"),
        ]
    figures.append(Figure("Took", format_duration(receipt["seconds"]), "from the first step to the last"))
    crashed = receipt["lost"]["held_by_crashed"]
    new = (receipt["watch"] or {"new": {"errors": 0, "requests": 0}})["new"]
    more = (
        ("Server errors", new["errors"], f"in {count(new['requests'])} answers of the new release", True),
        ("Crashed", crashed, "held by workers that died", True),
        ("Drained", receipt.get("drained") or 0, "streams closed in order", False),
        ("Cut", receipt["cut"], "outlasted the drain", True),
    )
    return figures + [
        Figure(name, count(number), note, bad=bad) for name, number, note, bad in more if number
    ]


def _step(step: Document) -> Step:
    reached = step["status"] != "skipped"
    return Step(
        step["name"],
        _STATUS.get(step["status"]) or step["status"],
        seconds(step.get("at_s")),
        format_duration(step["seconds"]) if reached else NOTHING,
        step["detail"],
    )


def _changes(receipt: Document) -> list[Change]:
    told: dict[str, Any] = receipt.get("changes") or {}
    builds = any(step["name"] == "build" for step in receipt["steps"])
    same = "Not compared." if builds else "None: a release that was on disk was started."
    code = (told["code"],) if told.get("code") else ()
    return [
        Change("Source", code, same),
        Change("Commits", tuple(told.get("commits") or ()), "None." if "commits" in told else same),
        Change("Dependencies", _packages(told), "None." if "added" in told else same),
        Change("Migrations", _migrations(receipt), "None."),
        Change("Environment", (told["env"],) if told.get("env") else (), "None that segue knows of."),
    ]


def _packages(told: Document) -> tuple[str, ...]:
    kinds = ("added", "changed", "removed")
    return tuple(f"{line} ({kind})" for kind in kinds for line in told.get(kind) or ())


def _migrations(receipt: Document) -> tuple[str, ...]:
    found = [step for step in receipt["steps"] if step["name"] in ("migrate", "contract")]
    # `no migrations` and `nothing to migrate` are what the step says where it changed nothing
    told = [step for step in found if step["status"] != "skipped" and not step["detail"].startswith("no")]
    return tuple(step["detail"] or f"The step {step['name']} failed." for step in told)
