"""Converge on a server: whatever an executor was doing when it ended, and after every boot."""

from __future__ import annotations

from segue.core.record import Phase, Record
from segue.deploy.apply import apply_record
from segue.deploy.background import shift
from segue.deploy.recovered import write_interrupted_receipt
from segue.deploy.run import Site
from segue.disk.lock import hold

RECOVERY = "A recovery"
LOCK_HINT = "wait for it, or give --wait to queue behind it"


async def come_to_rest(site: Site, *, stand_down: bool = False) -> tuple[Record, tuple[str, ...]]:
    """Make the machine match the record; the record, and what was done.

    Args:
        site: the app's.
        stand_down: whether nothing is to be kept warm any more.

    Raises:
        Refused: a deploy is under way.
        Failed: what should serve can't be started; nothing that serves was taken away.
    """
    with hold(site.home.lock, RECOVERY, hint=LOCK_HINT):
        return await settle(site, stand_down=stand_down)


async def settle(site: Site, *, stand_down: bool = False) -> tuple[Record, tuple[str, ...]]:
    """The same, for who holds the lock."""
    found = site.home.read_record()
    settled = found.settle().stand_down() if stand_down else found.settle()
    actions = await apply_record(settled, site.processes, site.front)
    if found.phase is not Phase.REST:
        write_interrupted_receipt(site, found)
    site.home.point_current(settled)
    site.releases.sweep()
    if settled != found:
        site.home.write_record(settled)
    return settled, tuple(f"{type(action).__name__.lower()} {action.generation}" for action in actions)


async def bring_processes(site: Site) -> tuple[str, ...]:
    """Have the live generation's other processes run and nobody else's; which ones were started.

    Raises:
        Refused: a deploy is under way, and sees to that itself.
    """
    with hold(site.home.lock, RECOVERY, hint=LOCK_HINT):
        record = site.home.read_record()
        done = await shift(site, record)
    for text in done.notes():
        hidden = site.secrets().hide(text)
        site.say({"at": site.timestamp(), "deploy": record.live, "event": "note", "text": hidden})
    return tuple(f"start {name} of {generation}" for generation, name in done.started)
