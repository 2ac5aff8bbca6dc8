"""What was asked for, and what that comes to, named before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from segue.core.plan import Plan, Step
from segue.reload.look import Looked
from segue.reload.release import Flip

ROLL, HUP = "roll", "hup"


@dataclass(frozen=True)
class Wish:
    """What was asked for.

    Attributes:
        unit: the service.
        check: the path that has to answer below 400.
        check_host: what the site is called there; empty for what nginx calls it.
        ready_timeout: seconds that a worker may take until it is ready.
        accept_stall: whether requests may wait for an import, where only that reads changed settings.
        release: the folder to lead the link to; None where the code is in place already.
        rate: requests a second that the probe sends.
    """

    unit: str
    check: str
    check_host: str
    ready_timeout: float
    accept_stall: bool
    release: Path | None
    rate: float = 20.0


def make_plan(wish: Wish, looked: Looked, strategy: str, flip: Flip | None) -> Plan:
    """What a reload will do, named before anything is done. Pure but for the time."""
    service = looked.service
    count, how = len(service.workers), "their master reads its settings again; requests wait for the import"
    if strategy == ROLL:
        how = f"{count} new workers beside the {count} old ones; when all accept, the old ones leave"
    flips = () if flip is None else (Step("flip", f"lead {flip.link} to {flip.release}"),)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return Plan(
        verb="reload",
        app=service.unit.name,
        target="unit",
        strategy=strategy,
        release=looked.wanted,
        generation=f"{service.unit.name}-{stamp}",
        previous=str(flip.before) if flip else service.master.cwd,
        steps=(
            Step(
                "shadow", f"boot the code of {looked.wanted} beside the service, and ask it for {wish.check}"
            ),
            *flips,
            Step(strategy, how),
            Step("prove", "every worker is new and accepts, and users are answered"),
        ),
    )
