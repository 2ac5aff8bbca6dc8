"""From what was asked for to a reload that can be carried out: all is looked at, and nothing is touched."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from segue.disk.lock import hold
from segue.front.nginx import Nginx
from segue.reload.judge import demand_reloadable
from segue.reload.look import look_at, settings_of
from segue.reload.plan import HUP, ROLL, Wish, make_plan
from segue.reload.release import plan_flip
from segue.reload.run import Run, Say
from segue.reload.state import State
from segue.reload.unit import read_unit


@contextlib.contextmanager
def prepared(wish: Wish, say: Say) -> Iterator[Run]:
    """What `wish` comes to, with the service's lock held.

    Raises:
        Refused: it can't be done well, with the way out; or somebody else does it.
        Failed: Gunicorn could not read its settings.
        UsageError: there is no such release.
    """
    unit = read_unit(wish.unit)
    state = State(unit.name)
    state.make()
    with hold(state.lock, f"a reload of {unit.name}"):
        looked = look_at(unit.name, Nginx())
        if wish.check_host:
            service = looked.service
            door = dataclasses.replace(service.door, host=wish.check_host)
            looked = dataclasses.replace(looked, service=dataclasses.replace(service, door=door))
        flip = None if wish.release is None else plan_flip(looked, wish.release)
        if flip is not None:
            settings = settings_of(looked.service, flip.rebased(looked.service.way()))
            looked = dataclasses.replace(looked, settings=settings, wanted=str(flip.release))
        process = looked.service.master.process
        read_at = state.read_at(process) or looked.service.master.since()
        leads_to = None if flip is None else flip.release
        again = demand_reloadable(
            looked, accept_stall=wish.accept_stall, config_read=read_at, release=leads_to
        )
        strategy = HUP if again else ROLL
        yield Run(wish, looked, strategy, flip, make_plan(wish, looked, strategy, flip), state, say)
