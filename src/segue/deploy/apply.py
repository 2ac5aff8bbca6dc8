"""Carries out what converge decided."""

from __future__ import annotations

from segue.core.errors import SegueError
from segue.core.record import Record
from segue.deploy.converge import Action, Discard, Drain, Go, Route, Routed, Start, converge
from segue.deploy.seams import Front, Processes


async def apply_record(
    record: Record, processes: Processes, front: Front | None = None
) -> tuple[Action, ...]:
    """Make the machine match `record`; the actions that it took.

    Raises:
        Failed: what should serve can't be started; nothing that serves was taken away.
    """
    actions = converge(record, processes.observe(), Routed(front.routed()) if front else None)
    failure: SegueError | None = None
    for action in actions:
        # what never served is not needed, whatever else failed
        if failure is None or isinstance(action, Discard):
            try:
                await _apply(action, processes, front)
            except SegueError as error:
                failure = error
    if failure is not None:
        raise failure
    return actions


async def _apply(action: Action, processes: Processes, front: Front | None) -> None:
    match action:
        case Start(generation):
            await processes.spawn(generation)
            await processes.all_ready(generation)
        case Go(generation):
            processes.go(generation)
        case Route(generation) if front is not None:
            front.route(generation)
        case Drain(generation):
            await processes.drain(generation)
        case Discard(generation):
            await processes.discard(generation)
