"""``segue status``, ``releases``, ``history`` and ``receipt``: what is on disk, without asking anybody."""

from __future__ import annotations

from typing import Any

import click

from segue.cli.project import home_here
from segue.cli.server import ask_server, is_server
from segue.cli.show import lost_requests, show_receipt, show_table
from segue.cli.verb import Verb, print_json
from segue.deploy import look
from segue.disk.home import Home
from segue.disk.processes import ProcessId

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


@click.command(cls=Verb)
@click.argument("target", required=False)
@_json
def status(target: str | None, *, as_json: bool) -> None:
    """What runs."""
    document = ask_server(target, "status") if is_server(target) else _status(home_here())
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
    rows = ask_server(target, "releases")["releases"] if is_server(target) else look.releases(home_here())
    if as_json:
        print_json(rows)
    elif rows:
        keys = ("id", "state", "role", "created", "by")
        show_table(
            ("RELEASE", "STATE", "", "CREATED", "BY", ""),
            [(*(str(row[key] or "") for key in keys), _changes(row)) for row in rows],
        )
    else:
        click.echo("no releases yet: `segue up` makes the first")


def _changes(row: dict[str, Any]) -> str:
    return f"with changes since {row['revision']}" if row["dirty"] else ""


@click.command(cls=Verb)
@click.argument("target", required=False)
@_json
def history(target: str | None, *, as_json: bool) -> None:
    """Who deployed what when, and how it went."""
    if is_server(target):
        told = ask_server(target, "history")
        receipts, damaged = told["receipts"], told["damaged"]
    else:
        receipts, damaged = look.history(home_here())
    for note in damaged:
        click.echo(f"note: {note}", err=True)
    if as_json:
        print_json(receipts)
    elif receipts:
        show_table(
            ("WHEN", "WHAT", "GENERATION", "BY", "RESULT"), [_history_row(receipt) for receipt in receipts]
        )
    else:
        click.echo("nothing was deployed yet")


def _history_row(receipt: dict[str, Any]) -> tuple[str, ...]:
    measured = receipt.get("traffic") or lost_requests(receipt)
    lost = f"{lost_requests(receipt)} lost" if measured else "not measured"
    result = (
        f"live, {lost}"
        if receipt["ok"]
        else f"{receipt['error']['kind']}: {receipt['error']['message']} {lost}"
    )
    return receipt["started_at"][:19], receipt["verb"], receipt["generation"], receipt["by"], result


@click.command(cls=Verb)
@click.argument("deploy", required=False, metavar="[ID]")
@click.option("--target", metavar="TARGET", help="Where it was deployed to, instead of `local`.")
@_json
def receipt(deploy: str | None, target: str | None, *, as_json: bool) -> None:
    """Show the receipt of the last deploy, or of the generation or release ID."""
    if is_server(target):
        document = ask_server(target, "receipt", to=deploy)
    else:
        document = look.receipt(home_here(), deploy)
    if as_json:
        print_json(document)
    else:
        show_receipt(document)
