"""Shows stored things to people: receipts, status, tables. Plain text that reads without colour."""

from __future__ import annotations

from typing import Any

import click

from segue.cli.project import LOCAL
from segue.cli.verb import show_error
from segue.core.durations import format_duration
from segue.core.errors import error_from_dict
from segue.proof.told import receipt_id, side_of_watch, verdict_of

Row = tuple[str, ...]


def show_receipt(receipt: dict[str, Any]) -> None:
    """Print `receipt`: the verdict first, then what it rests on, and on failure the reason."""
    click.echo("")
    click.echo(click.style(verdict_of(receipt), bold=True, fg="green" if receipt["ok"] else "red"))
    for name, text in _facts(receipt):
        click.echo(f"  {name:<12} {text}")
    if receipt.get("error"):
        click.echo("")
        show_error(error_from_dict(receipt["error"], receipt.get("exit_code", 1)))


def _facts(receipt: dict[str, Any]) -> list[Row]:
    rows: list[Row] = [("took", format_duration(receipt["seconds"]))]
    traffic = receipt.get("traffic")
    if traffic:
        rows.append(("probe", _probe(traffic)))
        if traffic["failures"]:
            rows.append(
                ("failures", ", ".join(f"{n} {kind}" for kind, n in sorted(traffic["failures"].items())))
            )
    if receipt.get("watch"):
        old, new = receipt["watch"]["old"], receipt["watch"]["new"]
        rows.append(("watch", f"new {side_of_watch(new)}; old {side_of_watch(old)}"))
    if receipt["lost"]["held_by_crashed"]:
        rows.append(("crashed", f"{receipt['lost']['held_by_crashed']} held by workers that died"))
    if receipt.get("drained"):
        rows.append(("drained", f"{receipt['drained']} streams and WebSockets were closed in order"))
    if receipt["cut"]:
        rows.append(("cut", f"{receipt['cut']} requests outlasted the drain"))
    rows += [("note", note) for note in receipt["notes"]]
    where = "" if receipt.get("target") in (None, LOCAL) else f" --target {receipt['target']}"
    # those of services that segue did not set up are files beside one another
    rows.append(("receipt", receipt.get("file") or f"segue receipt {receipt_id(receipt)}{where}"))
    return rows


def _probe(traffic: dict[str, Any]) -> str:
    slowest = traffic["latency_ms"].get("max")
    waits = (
        ""
        if slowest is None
        else f", slowest {slowest:.0f} ms, longest gap {traffic['longest_gap_ms']:.0f} ms"
    )
    spoilt = " (the probe itself was late: latencies are spoilt)" if traffic.get("spoilt") else ""
    return f"{traffic['failed']} of {traffic['sent']} requests failed{waits}{spoilt}"


def show_table(head: Row, rows: list[Row]) -> None:
    """Print `rows` under `head` in columns."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
