"""``segue setup``: prepares a server for an app, or takes all of it away."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import click

from segue.cli.verb import Verb, print_json
from segue.config.load import load_config, load_target, servers
from segue.config.project import find_project
from segue.core.errors import Refused, UsageError
from segue.server.layout import Layout
from segue.server.machine import Linux
from segue.server.parts import Change
from segue.server.setup import Plan, carry_out, plan_removal, plan_setup
from segue.server.wanted import decided

_COLOURS = {"+": "green", "-": "red", "~": "yellow", "@": "cyan"}


class SetupVerb(Verb):
    """A verb whose JSON document lists changes to a server."""

    unknown: ClassVar[Mapping[str, Any]] = {
        "app": None,
        "target": None,
        "applied": False,
        "changes": [],
        "kept": [],
    }


@click.command(cls=SetupVerb)
@click.argument("target", required=False)
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--remove", is_flag=True, help="Take all of it away, but for the app's data and environment.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def setup(target: str | None, *, yes: bool, dry_run: bool, remove: bool, as_json: bool) -> None:
    """Prepare this server for the app: show what would change, ask, and do it. Again: nothing to do."""
    project = find_project(Path.cwd())
    name = _server(project, target)
    plan = _plan(project, name, remove=remove)
    if not as_json:
        _show(plan)
    applied = bool(plan.changes) and not dry_run
    if applied:
        _confirm(yes=yes, as_json=as_json)
        carry_out(Linux(), plan, lambda text: click.echo(f"done: {text}", err=True))
    if as_json:
        print_json(_document(plan, name, applied=applied))
    elif remove and plan.kept and plan.changes:
        click.echo(f"kept: {', '.join(plan.kept)}")


def _server(project: Path, target: str | None) -> str:
    """The name of the target that is meant."""
    if target is not None:
        return target
    known = servers(project)
    if len(known) == 1:
        return known[0]
    raise UsageError(
        "target",
        "Which target is meant?" if known else "There is no server among the targets.",
        evidence=f"servers: {', '.join(known)}" if known else "a target that has a domain is a server",
        hint=f"segue setup {known[0]}" if known else 'set domain = "shop.example" in [targets.production]',
    )


def _plan(project: Path, name: str, *, remove: bool) -> Plan:
    config, target = load_config(project, {}, name), load_target(project, name)
    installed, layout = decided(name, config, target), Layout(config.name)
    _demand_root(name)
    if target.host is not None:
        _demand_here(target.host, name)
    # as `su` leaves it, root's PATH may lack what only root needs
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    machine = Linux()
    return plan_removal(machine, layout) if remove else plan_setup(machine, layout, installed, target)


def _demand_root(name: str) -> None:
    if os.geteuid() != 0:
        raise Refused(
            "not_root",
            "Only root can set up a server: it makes users, units, folders and nginx's site.",
            evidence=f"we are uid {os.geteuid()}",
            hint=f"sudo {Path(sys.executable).with_name('segue')} setup {name}",
        )


def _demand_here(host: str, name: str) -> None:
    """Refuse to set up another machine than the one that the target names."""
    wanted = host.rpartition("@")[2]
    if not _is_here(wanted):
        raise Refused(
            "elsewhere",
            f"The target {name} is on {wanted}, and this machine is {socket.gethostname()}.",
            evidence=f"host = {host!r}; {wanted} is no name and no address of this machine",
            hint=f"run it on {wanted}; or, if this is the one, give it that name in /etc/hosts",
        )


def _is_here(host: str) -> bool:
    if host in (socket.gethostname(), socket.gethostname().partition(".")[0]):
        return True
    try:
        addresses = {(one[0], one[4][0]) for one in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(_is_ours(family, str(address)) for family, address in addresses)


def _is_ours(family: int, address: str) -> bool:
    """Whether `address` can be bound here, which is so for a machine's own addresses alone."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _show(plan: Plan) -> None:
    for change in plan.changes:
        click.echo(_coloured(change.text))
        for line in change.diff.splitlines():
            click.echo(f"    {_coloured(line)}")
    if not plan.changes:
        click.echo("nothing to do")


def _coloured(line: str) -> str:
    return click.style(line, fg=_COLOURS.get(line[:1]))


def _confirm(*, yes: bool, as_json: bool) -> None:
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise Refused(
            "unconfirmed",
            "Nobody can be asked whether to do it, so nothing was done.",
            hint="--yes does it without asking; --dry-run only shows it",
        )
    if not click.confirm("Do it?", err=True):
        raise Refused("unconfirmed", "Nothing was done.")


def _document(plan: Plan, name: str, *, applied: bool) -> dict[str, Any]:
    return {
        "ok": True,
        "app": plan.layout.app,
        "target": name,
        "applied": applied,
        "changes": [_as_dict(change) for change in plan.changes],
        "kept": list(plan.kept),
        "error": None,
    }


def _as_dict(change: Change) -> dict[str, str]:
    return {"text": change.text, "diff": change.diff}
