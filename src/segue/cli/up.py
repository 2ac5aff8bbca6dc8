"""``segue up``: the embedded keeper in the foreground."""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

import click

from segue.cli.project import home_here
from segue.cli.verb import Verb
from segue.core.address import Address
from segue.disk.home import Home


@click.command(cls=Verb)
@click.argument("module", required=False, metavar="[MODULE:APP]")
@click.option("--bind", metavar="HOST:PORT", help="Where users come in; unix:/path for a unix socket.")
@click.option("--workers", type=int, metavar="N", help="Worker processes.")
@click.option("--threads", type=int, metavar="N", help="Threads per worker.")
@click.option("--check", metavar="PATH", help="The path that tells whether a release is healthy.")
@click.option("--upgrade", is_flag=True, help="Replace the keeper that runs, whatever its version.")
@click.option("--watch", is_flag=True, help="Deploy every save.")
def up(*, upgrade: bool, watch: bool, **flags: Any) -> None:
    """Make a release of the project as it is, serve it, and keep it serving.

    Runs in the foreground until Ctrl-C, which drains; a second Ctrl-C leaves at once.
    Deploy from another terminal with `segue deploy`; with --watch, every save is deployed.
    """
    # slow to import, and the other verbs don't need them
    from segue.build.detect import detect_module  # noqa: PLC0415
    from segue.config.load import load_config  # noqa: PLC0415
    from segue.disk.lock import hold  # noqa: PLC0415
    from segue.embedded.listener import bind_listener, bound_address  # noqa: PLC0415
    from segue.embedded.parent import Parent  # noqa: PLC0415
    from segue.embedded.takeover import take_listener  # noqa: PLC0415
    from segue.embedded.watching import SHORTENED  # noqa: PLC0415

    home = home_here()
    overrides = {key: value for key, value in flags.items() if value is not None}
    if watch:
        overrides |= SHORTENED
    config = load_config(home.project, overrides)
    if config.module is None:
        detect_module(home.project)
    home.read_record()
    taken = _from_keeper(home, config.bind) if upgrade else None
    home.create()
    hint = "`segue deploy` brings a new release in; `segue status` says what serves"
    with hold(home.keeper_lock, f"Another `segue up` of {home.project}", kind="running", hint=hint):
        home.keeper.unlink(missing_ok=True)
        taken = taken or take_listener(home, config.bind)
        listener = taken or bind_listener(config.bind)
        address = bound_address(config.bind, listener)
        click.echo(f"listening on {address}, project {home.project}", err=True)
        if taken is not None:
            click.echo("took over the socket of an earlier keeper, and what serves on it", err=True)
        if watch:
            click.echo(f"every save is deployed; so that it is live soon: {_listed(SHORTENED)}", err=True)
        spec = {
            "project": str(home.project),
            "parent": os.getpid(),
            "listener": listener.fileno(),
            "address": str(address),
            "app": config.name,
            "overrides": overrides,
            "taken_over": taken is not None,
            "watch": watch,
        }
        argv = (sys.executable, "-m", "segue.cli.keep", json.dumps(spec))
        code = Parent(argv, listener.fileno()).keep()
    sys.exit(code)


def _from_keeper(home: Home, address: Address) -> socket.socket:
    """The listening socket of the keeper that runs; it ends when all else is made sure of."""
    from segue.embedded.upgrade import end_keeper, listener_of_keeper  # noqa: PLC0415 - see above

    listener = listener_of_keeper(home, address)
    click.echo("asking the keeper to leave; what is under way comes to rest first", err=True)
    end_keeper(home)
    return listener


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in settings.items())
