"""``segue status``, ``releases``, ``history`` and ``receipt``: what is on disk, without asking anybody."""

from __future__ import annotations

from typing import Any

import click

from segue.cli.project import home_here
from segue.cli.server import ask_server, is_server
from segue.cli.show import show_receipt, show_table
from segue.cli.verb import Verb, print_json
from segue.core.errors import UsageError
from segue.deploy import look
from segue.disk.home import Home
from segue.disk.processes import ProcessId
from segue.disk.space import size
from segue.proof.told import lost_requests, receipt_id, was_measured

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


@click.command(cls=Verb)
@click.argument("target", required=False)
@click.option("--live", is_flag=True, help="Go on: requests, errors and p95 second by second; q ends it.")
@_json
def status(target: str | None, *, live: bool, as_json: bool) -> None:
    """What runs."""
    _demand_one(live=live, json=as_json)
    server = is_server(target)

    def ask() -> dict[str, Any]:
        return ask_server(target, "status") if server else _status(home_here())

    if live:
        from segue.cli.live import follow  # noqa: PLC0415 - slow to import

        follow(ask)
        return
    document = ask()
    if as_json:
        print_json(document)
        return
    click.echo(f"keeper    {_keeper_line(document['keeper'])}")
    for role in ("live", "candidate", "previous"):
        if document[role]:
            warm = "  (standby)" if document["standby"] == document[role]["generation"] else ""
            click.echo(f"{role:<9} {_generation_line(document[role])}{warm}")
    for process in document.get("processes", []):
        click.echo(f"process   {_process_line(process)}")
    if document["phase"] != "rest":
        click.echo(f"phase     {document['phase']}")


def _keeper_line(keeper: dict[str, Any] | None) -> str:
    if keeper is not None and "unit" in keeper:
        return f"{keeper['unit']}, {keeper['state']}"
    if keeper is not None:
        return f"running, pid {keeper['pid']}, on {keeper['bind']}"
    home = home_here()
    if not home.root.exists():
        return f"none: nothing was ever served from {home.project} (is this the right folder?)"
    return "not running (`segue up` starts one)"


def _generation_line(generation: dict[str, Any]) -> str:
    if not generation["alive"]:
        return f"{generation['generation']}  not running"
    served = f"{generation['requests']} requests, {generation['errors']} errors"
    scaled = " by `segue scale`" if generation["scaled"] else ""
    workers = f"{generation['workers']} workers{scaled}"
    return f"{generation['generation']}  pid {generation['pid']}, {workers}, {served}"


def _process_line(process: dict[str, Any]) -> str:
    restarts = f", restarted {process['restarts']} times" if process["restarts"] else ""
    running = f"pid {process['pid']}" if process["pid"] else "not running"
    return f"{process['name']} of {process['generation']}  {running}, {process['state']}{restarts}"


def _status(home: Home) -> dict[str, Any]:
    app = (home.read_keeper() or {}).get("app", home.project.name)
    return {"app": app, "target": "local", "keeper": _keeper(home), **look.roles(home)}


def _keeper(home: Home) -> dict[str, Any] | None:
    keeper = home.read_keeper()
    if keeper is None or not ProcessId(keeper["pid"], keeper["started"]).alive():
        return None
    return {key: keeper[key] for key in ("pid", "version", "bind", "since")}


@click.command(cls=Verb)
@click.argument("target", required=False)
@_json
def releases(target: str | None, *, as_json: bool) -> None:
    """What is on disk."""
    told = ask_server(target, "releases") if is_server(target) else look.on_disk(home_here())
    rows = told["releases"]
    if as_json:
        print_json(rows)
    elif rows:
        keys = ("id", "state", "role", "created", "by")
        show_table(
            ("RELEASE", "STATE", "", "CREATED", "BY", ""),
            [(*(str(row[key] or "") for key in keys), _changes(row)) for row in rows],
        )
        click.echo(f"\nbesides, {size(told['cache']['bytes'])} of cache in {told['cache']['folder']}")
    else:
        click.echo("no releases yet: `segue up` makes the first")


def _changes(row: dict[str, Any]) -> str:
    return f"with changes since {row['revision']}" if row["dirty"] else ""


@click.command(cls=Verb)
@click.argument("target", required=False)
@click.option("--html", is_flag=True, help="As pages: one over all deploys, and one for each; prints where.")
@click.option("--open", "opened", is_flag=True, help="Open them in the browser.")
@_json
def history(target: str | None, *, html: bool, opened: bool, as_json: bool) -> None:
    """Who deployed what when, and how it went."""
    _demand_one(html=html or opened, json=as_json)
    told = _history(target, timelines=html or opened)
    receipts = told["receipts"]
    for note in told["damaged"]:
        click.echo(f"note: {note}", err=True)
    if html or opened:
        from segue.cli.browser import show_path, write_history  # noqa: PLC0415 - slow to import

        show_path(write_history(target, told), opened=opened)
    elif as_json:
        print_json(receipts)
    elif receipts:
        show_table(
            ("WHEN", "WHAT", "GENERATION", "BY", "RESULT"), [_history_row(receipt) for receipt in receipts]
        )
    else:
        click.echo("nothing was deployed yet")


def _history(target: str | None, *, timelines: bool) -> dict[str, Any]:
    if is_server(target):
        return ask_server(target, "history", timeline=timelines)
    return look.history_document(home_here(), timelines=timelines)


def _demand_one(**wanted: bool) -> None:
    if sum(wanted.values()) > 1:
        raise UsageError(
            "usage",
            "One of these at a time.",
            evidence=f"asked for: {', '.join(f'--{name}' for name in wanted)}",
            hint="--json is one document for machines",
        )


def _history_row(receipt: dict[str, Any]) -> tuple[str, ...]:
    lost = f"{lost_requests(receipt)} lost" if was_measured(receipt) else "not measured"
    result = (
        f"live, {lost}"
        if receipt["ok"]
        else f"{receipt['error']['kind']}: {receipt['error']['message']} {lost}"
    )
    return receipt["started_at"][:19], receipt["verb"], receipt_id(receipt), receipt["by"], result


@click.command(cls=Verb)
@click.argument("deploy", required=False, metavar="[ID]")
@click.option("--target", metavar="TARGET", help="Where it was deployed to, instead of `local`.")
@click.option("--html", metavar="FILE", help="Write it as a page, one HTML file; - is stdout.")
@click.option("--open", "opened", is_flag=True, help="Open it as a page in the browser.")
@_json
def receipt(deploy: str | None, target: str | None, *, html: str | None, opened: bool, as_json: bool) -> None:
    """Show the receipt of the last deploy, or of the generation or release ID."""
    as_page = opened or html is not None
    _demand_one(html=as_page, json=as_json)
    document = _receipt(target, deploy, timeline=as_page)
    if as_page:
        from segue.cli.browser import present  # noqa: PLC0415 - slow to import

        present(target, document, html, opened=opened)
    elif as_json:
        print_json(document)
    else:
        show_receipt(document)


def _receipt(target: str | None, deploy: str | None, *, timeline: bool) -> dict[str, Any]:
    if is_server(target):
        return ask_server(target, "receipt", to=deploy, timeline=timeline)
    return look.receipt_document(home_here(), deploy, timeline=timeline)
