"""``segue up``: the embedded keeper in the foreground."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

from segue.cli.project import home_here
from segue.cli.verb import Verb


@click.command(cls=Verb)
@click.argument("module", required=False, metavar="[MODULE:APP]")
@click.option("--bind", metavar="HOST:PORT", help="Where users come in; unix:/path for a unix socket.")
@click.option("--workers", type=int, metavar="N", help="Worker processes.")
@click.option("--threads", type=int, metavar="N", help="Threads per worker.")
@click.option("--check", metavar="PATH", help="The path that tells whether a release is healthy.")
def up(**flags: Any) -> None:
    """Make a release of the project as it is, serve it, and keep it serving.

    Runs in the foreground until Ctrl-C, which drains; a second Ctrl-C leaves at once.
    Deploy from another terminal with `segue deploy`.
    """
    # slow to import, and the other verbs don't need them
    from segue.build.detect import detect_module  # noqa: PLC0415
    from segue.config.load import load_config  # noqa: PLC0415
    from segue.disk.lock import hold  # noqa: PLC0415
    from segue.embedded.listener import bind_listener, bound_address  # noqa: PLC0415
    from segue.embedded.parent import Parent  # noqa: PLC0415
    from segue.embedded.takeover import take_listener  # noqa: PLC0415

    home = home_here()
    overrides = {key: value for key, value in flags.items() if value is not None}
    config = load_config(home.project, overrides)
    if config.module is None:
        detect_module(home.project)
    home.create()
    home.read_record()
    hint = "`segue deploy` brings a new release in; `segue status` says what serves"
    with hold(home.keeper_lock, f"Another `segue up` of {home.project}", kind="running", hint=hint):
        home.keeper.unlink(missing_ok=True)
        taken = take_listener(home, config.bind)
        listener = taken or bind_listener(config.bind)
        address = bound_address(config.bind, listener)
        click.echo(f"listening on {address}, project {home.project}", err=True)
        if taken is not None:
            click.echo("took over the socket, and what serves on it, of a keeper that was killed", err=True)
        spec = {
            "project": str(home.project),
            "parent": os.getpid(),
            "listener": listener.fileno(),
            "address": str(address),
            "app": config.name,
            "overrides": overrides,
            "taken_over": taken is not None,
        }
        argv = (sys.executable, "-m", "segue.cli.keep", json.dumps(spec))
        code = Parent(argv, listener.fileno()).keep()
    sys.exit(code)
