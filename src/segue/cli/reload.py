"""``segue reload``: new workers for a service that segue did not set up, without a request lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from segue.cli.progress import Progress
from segue.cli.show import show_receipt
from segue.cli.verb import Verb, print_json
from segue.core.errors import Refused, UsageError

if TYPE_CHECKING:
    from segue.disk.events import Event
    from segue.reload.plan import Wish
    from segue.reload.run import Run

_UNIT = "--unit shop.service names the service; --nginx reloads nginx"


class ReloadVerb(Verb):
    """A verb whose JSON document is a receipt; where nothing began, nothing is known."""

    unknown: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys(("app", "target", "release", "generation", "previous", "strategy")),
        "steps": [],
        "traffic": None,
        "proof": None,
    }


@click.command(cls=ReloadVerb)
@click.option("--unit", metavar="UNIT", help="The service, as systemd calls it.")
@click.option("--check", default="/", show_default=True, metavar="PATH", help="What has to answer below 400.")
@click.option(
    "--check-host", default="", metavar="NAME", help="What the site is called; by default, nginx says it."
)
@click.option(
    "--ready-timeout", default="60s", show_default=True, metavar="TIME", help="For a worker to get ready."
)
@click.option(
    "--release", type=click.Path(path_type=Path), metavar="DIR", help="Lead `current` to DIR before."
)
@click.option(
    "--accept-stall", is_flag=True, help="Where settings have to be read again: HUP; requests wait."
)
@click.option("--nginx", is_flag=True, help="Validate nginx's config, reload it, and see its new workers.")
@click.option("--dry-run", is_flag=True, help="Show what would be loaded, and touch nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def reload(unit: str | None, *, nginx: bool, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Replace the workers of a service that segue did not set up, safely."""
    if bool(unit) is nginx:
        raise UsageError(
            "usage", "What is to be reloaded?" if not unit else "One of the two, please.", hint=_UNIT
        )
    _demand_root(sys.argv[1:])
    if unit is None:
        _reload_nginx(dry_run=dry_run, as_json=as_json)
        return
    _reload_unit(_wish(unit, **options), dry_run=dry_run, as_json=as_json)


def _demand_root(words: list[str]) -> None:
    if os.geteuid() != 0:
        raise Refused(
            "not_root",
            "Only root can reload a service: its master is signalled, its code boots as its user.",
            evidence=f"we are uid {os.geteuid()}",
            hint=f"sudo {Path(sys.executable).with_name('segue')} {shlex.join(words)}",
        )


def _wish(unit: str, *, ready_timeout: str, check: str, check_host: str, **options: Any) -> Wish:
    from segue.core.durations import parse_duration  # noqa: PLC0415 - as below
    from segue.reload.plan import Wish  # noqa: PLC0415 - other verbs should start instantly

    if not check.startswith("/"):
        raise UsageError("check", f"The path to check, {check!r}, does not begin with a slash.")
    try:
        seconds = parse_duration(ready_timeout)
    except ValueError as error:
        raise UsageError("ready_timeout", f"--ready-timeout {ready_timeout!r} {error}.") from None
    return Wish(unit=unit, check=check, check_host=check_host, ready_timeout=seconds, **options)


def _reload_nginx(*, dry_run: bool, as_json: bool) -> None:
    from segue.front.nginx import Nginx  # noqa: PLC0415

    nginx = Nginx()
    if dry_run:
        nginx.demand_sound()
        told = f"nginx's config is sound; pid {nginx.master().process.pid} would read it"
    else:
        before = {worker.pid for worker in nginx.master().serving()}
        nginx.reload()
        now = {worker.pid for worker in nginx.master().serving()}
        told = f"nginx reads its config: {len(now)} new workers took over from {len(before)}"
    if as_json:
        print_json({"ok": True, "nginx": told, "error": None})
    else:
        click.echo(told)


def _reload_unit(wish: Wish, *, dry_run: bool, as_json: bool) -> None:
    from segue.reload import begin, report  # noqa: PLC0415
    from segue.reload.run import document  # noqa: PLC0415

    with Progress(live=not as_json) as progress, begin.prepared(wish, _quietly(progress)) as run:
        if dry_run:
            _show_plan(report.as_document(run), report.lines(run), as_json=as_json)
            return
        receipt = asyncio.run(_undisturbed(run))
    if as_json:
        print_json(document(run, receipt))
    else:
        show_receipt(document(run, receipt))
    click.get_current_context().exit(receipt.exit_code)


async def _undisturbed(run: Run) -> Any:
    """Carry it out: Ctrl-C before the roll takes it back, and a terminal that closes does not end it."""
    from segue.reload.run import carry_out  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    task = asyncio.create_task(carry_out(run))
    loop.add_signal_handler(signal.SIGINT, run.interrupt)
    loop.add_signal_handler(signal.SIGTERM, run.interrupt)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    return await task


def _quietly(progress: Progress) -> Any:
    def show(event: Event) -> None:
        # nobody may look any more
        with contextlib.suppress(OSError):
            progress.show(event)

    return show


def _show_plan(document: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo("\n".join(lines))
