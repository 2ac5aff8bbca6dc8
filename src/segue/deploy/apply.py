"""Carries out what converge decided."""

from __future__ import annotations

from segue.core.record import Record
from segue.deploy.converge import Action, Discard, Drain, Go, Start, converge
from segue.deploy.seams import Processes


async def apply_record(record: Record, processes: Processes) -> tuple[Action, ...]:
    """Make the machine match `record`; the actions that it took.

    Raises:
        Failed: what should serve can't be started; nothing that serves was taken away.
    """
    actions = converge(record, processes.observe())
    for action in actions:
        await _apply(action, processes)
    return actions


async def _apply(action: Action, processes: Processes) -> None:
    match action:
        case Start(generation):
            await processes.spawn(generation)
            await processes.all_ready(generation)
        case Go(generation):
            processes.go(generation)
        case Drain(generation):
            await processes.drain(generation)
        case Discard(generation):
            await processes.discard(generation)
