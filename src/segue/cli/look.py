"""``segue status``, ``releases``, ``history`` and ``receipt``: what is on disk, without asking anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from segue.cli.project import check_target, home_here
from segue.cli.show import lost_requests, show_receipt, show_table
from segue.cli.verb import Verb, print_json
from segue.core.errors import Refused, UsageError
from segue.core.ids import is_generation_id, release_of
from segue.core.record import Record
from segue.deploy.releases import Releases
from segue.disk.home import Home
from segue.disk.processes import ProcessId
from segue.proof.receipt import read_receipt
from segue.run.generation import Generation

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


@click.command(cls=Verb)
@click.argument("target", required=False)
@_json
def status(target: str | None, *, as_json: bool) -> None:
    """What runs."""
    check_target(target)
    home = home_here()
    document = _status(home)
    if as_json:
        print_json(document)
        return
    click.echo(f"keeper    {_keeper_line(document['keeper'], home)}")
    for role in ("live", "candidate", "previous"):
        if document[role]:
            click.echo(f"{role:<9} {_generation_line(document[role])}")
    if document["phase"] != "rest":
        click.echo(f"phase     {document['phase']}")


def _keeper_line(keeper: dict[str, Any] | None, home: Home) -> str:
    if keeper is not None:
        return f"running, pid {keeper['pid']}, on {keeper['bind']}"
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


def _status(home: Home) -> dict[str, Any]:
    record = home.read_record()
    return {
        "app": (home.read_keeper() or {}).get("app", home.project.name),
        "target": "local",
        "keeper": _keeper(home),
        "phase": record.phase.value,
        **{role: _generation(home, getattr(record, role)) for role in ("live", "previous", "candidate")},
    }


def _keeper(home: Home) -> dict[str, Any] | None:
    keeper = home.read_keeper()
    if keeper is None or not ProcessId(keeper["pid"], keeper["started"]).alive():
        return None
    return {key: keeper[key] for key in ("pid", "version", "bind", "since")}


def _generation(home: Home, name: str | None) -> dict[str, Any] | None:
    if name is None:
        return None
    generation = Generation(name, home.generation(name))
    if not generation.folder.exists():
        return {"generation": name, "release": release_of(name), "alive": False}
    master, counts = generation.master(), generation.counts()
    return {
        "generation": name,
        "release": release_of(name),
        "alive": master is not None and master.alive(),
        "pid": master and master.pid,
        "workers": len(generation.ready_workers()),
        "scaled": generation.scaled(),
        "requests": counts.finished,
        "errors": counts.errors,
    }


@click.command(cls=Verb)
@click.argument("target", required=False)
@_json
def releases(target: str | None, *, as_json: bool) -> None:
    """What is on disk."""
    check_target(target)
    home = home_here()
    rows = [_release(home, name, home.read_record()) for name in reversed(home.releases())]
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


def _release(home: Home, name: str, record: Record) -> dict[str, Any]:
    facts = Releases(home).read(name)
    roles = [
        role
        for role in ("live", "candidate", "previous")
        if (generation := getattr(record, role)) is not None and release_of(generation) == name
    ]
    keys = ("state", "created", "by", "revision", "commit", "dirty", "live_at")
    return {"id": name, "role": roles[0] if roles else None, **{key: facts.get(key) for key in keys}}


@click.command(cls=Verb)
@click.argument("target", required=False)
@_json
def history(target: str | None, *, as_json: bool) -> None:
    """Who deployed what when, and how it went."""
    check_target(target)
    receipts = [found for path in _receipt_files(home_here()) if (found := _whole_receipt(path)) is not None]
    if as_json:
        print_json(receipts)
    elif receipts:
        show_table(
            ("WHEN", "WHAT", "GENERATION", "BY", "RESULT"), [_history_row(receipt) for receipt in receipts]
        )
    else:
        click.echo("nothing was deployed yet")


def _whole_receipt(path: Path) -> dict[str, Any] | None:
    try:
        return read_receipt(path)
    except ValueError as error:
        click.echo(f"note: {path} is damaged, and left out: {error}", err=True)
        return None


def _history_row(receipt: dict[str, Any]) -> tuple[str, ...]:
    measured = receipt.get("traffic") or lost_requests(receipt)
    lost = f"{lost_requests(receipt)} lost" if measured else "not measured"
    result = (
        f"live, {lost}"
        if receipt["ok"]
        else f"{receipt['error']['kind']}: {receipt['error']['message']} {lost}"
    )
    return receipt["started_at"][:19], receipt["verb"], receipt["generation"], receipt["by"], result


def _demanded(path: Path) -> dict[str, Any]:
    try:
        return read_receipt(path) or {}
    except ValueError as error:
        hint = "`segue history` lists those that are whole"
        raise Refused("receipt", f"{path} is damaged.", evidence=str(error), hint=hint) from error


def _receipt_files(home: Home) -> list[Path]:
    files = [path for path in (home.root / "receipts").glob("*.json") if is_generation_id(path.stem)]
    return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


@click.command(cls=Verb)
@click.argument("deploy", required=False, metavar="[ID]")
@_json
def receipt(deploy: str | None, *, as_json: bool) -> None:
    """Show the receipt of the last deploy, or of the generation or release ID."""
    files = _receipt_files(home_here())
    wanted = [path for path in files if deploy in (None, path.stem, release_of(path.stem))]
    if not wanted:
        what = "Nothing was deployed yet." if deploy is None else f"There is no receipt {deploy!r}."
        newest = f"the newest is {files[0].stem}" if files else f"looked in {home_here().root / 'receipts'}"
        raise UsageError("receipt", what, evidence=newest, hint="`segue history` lists all of them")
    document = _demanded(wanted[0])
    if as_json:
        print_json(document)
    else:
        show_receipt(document)
