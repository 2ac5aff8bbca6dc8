"""`segue setup`: how a server differs from what an app's config wants, and the way there, as a plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from segue.config.schema import Target
from segue.core.errors import Refused
from segue.disk.lock import hold, is_held
from segue.server.fitness import unfit
from segue.server.gone import NoFile, NoFolder
from segue.server.installation import NoInstallation
from segue.server.installed import Installed, installed_apps
from segue.server.layout import Layout
from segue.server.machine import Machine
from segue.server.parts import Change, Part
from segue.server.running import Ended, Site
from segue.server.units import sudoers as rules
from segue.server.wanted import sudoers, wanted

_RELOAD = ("systemctl", "daemon-reload")


@dataclass(frozen=True)
class Plan:
    """What would be done to a server.

    Attributes:
        layout: the app's.
        parts: all that should be so, in the order in which it is made.
        changes: what has to be done for that, as far as it can be seen before.
        kept: what a removal leaves, for people.
    """

    layout: Layout
    parts: list[Part]
    changes: list[Change]
    kept: tuple[str, ...] = ()


def plan_setup(machine: Machine, layout: Layout, installed: Installed, target: Target) -> Plan:
    """What is missing for `installed`, which was decided for `target`; nothing is written.

    Raises:
        Refused: the server is not fit for it, with all reasons at once; or nginx would not take the site.
    """
    parts = wanted(machine, layout, installed, target)
    reasons = unfit(machine, layout, installed, user_named=target.user is not None)
    sites = [part for part in parts if isinstance(part, Site)]
    reasons += _obstacles(machine, [part for part in parts if part not in sites])
    _refuse(layout, reasons or _wrong_rules(machine, layout, installed))
    _obstacles(machine, sites)
    return _plan(machine, layout, parts)


def _wrong_rules(machine: Machine, layout: Layout, installed: Installed) -> list[str]:
    done = machine.run("visudo", "-cf", "-", text=rules(layout, [installed.deploy_user]))
    return [f"sudo would not take its rule: {done.output}"] if done.code else []


def _refuse(layout: Layout, reasons: list[str]) -> None:
    if reasons:
        raise Refused(
            "unfit",
            f"This server can't be set up for {layout.app} as it is.",
            evidence="\n".join(reasons),
            hint="mend what is listed and try again; nothing was touched",
        )


def _obstacles(machine: Machine, parts: Sequence[Part]) -> list[str]:
    return [reason for part in parts for reason in part.obstacles(machine)]


def _plan(machine: Machine, layout: Layout, parts: list[Part], kept: tuple[str, ...] = ()) -> Plan:
    changes = [change for part in parts if (change := part.change(machine)) is not None]
    return Plan(layout, parts, changes, kept)


def plan_removal(machine: Machine, layout: Layout) -> Plan:
    """What is there of the app's, but for its data and its environment.

    Raises:
        Refused: a deploy of it is under way.
    """
    if is_held(layout.lock):
        raise Refused(
            "locked", f"{layout.app} is being deployed.", hint="wait until that is done; nothing was touched"
        )
    apps = installed_apps(layout)
    users = [f"user {one.user}" for one in apps if one.app == layout.app]
    askers = [one.deploy_user for one in apps if one.app != layout.app]
    kept = (layout.shared, layout.env_file)
    parts = [*_ends(layout, askers), *_files(layout), *_shared_parts(layout, last=not askers)]
    plan = _plan(machine, layout, parts, (*(str(path) for path in kept if path.exists()), *users))
    _refuse(layout, _obstacles(machine, parts))
    return plan


def _ends(layout: Layout, askers: list[str]) -> list[Part]:
    asking: Part = sudoers(layout, askers) if askers else NoFile(layout.sudoers)
    return [asking, Site(layout, None), Ended(layout)]


def _files(layout: Layout) -> list[Part]:
    names = (layout.keeper_unit, layout.deploy_template, layout.socket_template, layout.service_template)
    return [
        *(NoFile(layout.units / name, then=_RELOAD) for name in names),
        NoFile(layout.tmpfiles),
        NoFolder(layout.run),
        NoFile(layout.current),
        NoFolder(layout.releases),
        NoFolder(layout.state),
    ]


def _shared_parts(layout: Layout, *, last: bool) -> list[Part]:
    if not last:
        return []
    folders = (layout.runs, layout.states)
    return [*(NoFolder(folder, empty=True) for folder in folders), NoInstallation(layout)]


def carry_out(machine: Machine, plan: Plan, say: Callable[[str], None]) -> None:
    """Do what `plan` says, as far as it still has to be done; `say` hears of each part that is done.

    Raises:
        Refused: somebody else is at it; or nginx would not take the site after all.
        Failed: a part could not be made. What was made before it stays, and the next run goes on from there.
    """
    # what is made for the app's user to read has to be readable, whatever root's own umask is
    os.umask(0o022)
    with hold(plan.layout.root / "run/segue-setup.lock", "another setup"):
        for part in plan.parts:
            if (change := part.change(machine)) is not None:
                part.make(machine)
                say(change.text)
