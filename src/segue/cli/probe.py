"""`segue probe`: the downtime of any deploy, of any tool."""

from __future__ import annotations

import asyncio
import os
import shlex
from typing import TYPE_CHECKING

import click

from segue.cli.verb import Verb, print_json
from segue.core.durations import format_duration, parse_duration
from segue.core.errors import UsageError
from segue.proof.command import Command
from segue.proof.measure import measure
from segue.proof.report import SPOILT_LAG_MS
from segue.proof.spec import ProbeSpec, Shot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segue.proof.report import Latency, Report

_SHOWN_SAMPLES = 5
_NUMBERED = "{n} becomes the request's number"


@click.command(cls=Verb)
@click.argument("url")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND ...]")
@click.option("--rate", default=10.0, metavar="N", help="Requests per second [10].")
@click.option("--duration", default="10s", metavar="TIME", help="How long, at least [10s].")
@click.option("--method", type=click.Choice(["GET", "POST"]), help="[GET, or POST with --data]")
@click.option("--data", metavar="TEXT", help=f"The body to send; {_NUMBERED}, here and in the URL's path.")
@click.option("--header", "headers", multiple=True, metavar="'K: V'", help="A header to send; repeatable.")
@click.option(
    "--keep-alive", default=0.5, metavar="SHARE", help="Share of requests kept alive, 0 to 1 [0.5]."
)
@click.option("--unix-socket", metavar="PATH", help="Connect to this socket instead of the URL's host.")
@click.option("--insecure", is_flag=True, help="Don't verify the https certificate.")
@click.option("--timeout", default="10s", metavar="TIME", help="What a request may take in all [10s].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def probe(
    *,
    url: str,
    command: tuple[str, ...],
    rate: float,
    duration: str,
    method: str | None,
    data: str | None,
    headers: tuple[str, ...],
    keep_alive: float,
    unix_socket: str | None,
    insecure: bool,
    timeout: str,
    as_json: bool,
) -> None:
    """Send constant-rate traffic to URL and count what is lost.

    With a COMMAND after --, run it meanwhile: the downtime of any deploy, of any tool.

    Exit status: 0 no request failed, 1 some did, 2 wrong words.
    """
    spec = ProbeSpec(
        url=url,
        connect=f"unix:{os.path.abspath(unix_socket)}" if unix_socket else "",
        insecure=insecure,
        rate=rate,
        keep_alive=keep_alive,
        timeout=_seconds("--timeout", timeout),
        shots=(_shot(method, data, headers),),
    )
    amid = Command(command) if command else None
    report = asyncio.run(measure(spec, _seconds("--duration", duration), amid))
    if as_json:
        print_json({**report.as_dict(), "command": amid.as_dict() if amid else None})
    else:
        _show(report, spec, amid)
    click.get_current_context().exit(0 if report.ok and not report.failed else 1)


def _shot(method: str | None, data: str | None, headers: tuple[str, ...]) -> Shot:
    if method == "GET" and data is not None:
        raise UsageError("data", "A GET has no data to send.", hint="leave out --method, or say POST")
    return Shot(
        method=method or ("GET" if data is None else "POST"),
        headers=tuple(_header(text) for text in headers),
        body=() if data is None else (data.encode(errors="surrogateescape"),),
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise UsageError("header", f"{text!r} is no header.", hint="write it as 'Name: value'")
    return name.strip(), value.strip()


def _seconds(option: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError("duration", f"{option}: {error}.") from None
    if not seconds:
        raise UsageError("duration", f"{option}: {text} is no time at all.", hint="give it some, such as 10s")
    return seconds


def _show(report: Report, spec: ProbeSpec, command: Command | None) -> None:
    verdict = f"{report.failed} of {report.sent} requests failed" if report.sent else "no request was sent"
    click.secho(verdict, bold=True, fg="green" if report.ok and not report.failed else "red")
    for name, value in _lines(report, spec, command):
        click.echo(f"  {name:<12} {value}".rstrip())


def _lines(report: Report, spec: ProbeSpec, command: Command | None) -> Iterator[tuple[str, str]]:
    if report.failures:
        yield "failures", _counts(report.failures)
    for sample in report.samples[:_SHOWN_SAMPLES]:
        idle = "" if sample.idle_s is None else f", on a connection that had idled {sample.idle_s:.2f} s"
        yield "", f"at {sample.at_s:.2f} s: {sample.shot}: {sample.kind}, {sample.detail}{idle}"
    yield "sent", f"{spec.rate:g} a second for {format_duration(report.duration_s)} to {report.url}"
    yield "", f"{report.reused} over a connection that was kept alive"
    yield "statuses", _counts(report.statuses)
    yield "latency", _latency(report.latency_ms)
    yield "longest gap", f"{format_duration(report.longest_gap_ms / 1000)} without a success"
    yield "releases", _counts(report.releases)
    yield "own lag", f"{report.lag_ms:.1f} ms"
    if report.is_spoilt:
        yield "", f"SPOILT: the probe itself was held up for more than {SPOILT_LAG_MS} ms,"
        yield "", "or ran out of descriptors or ports: measure again on a machine with room for it"
    if command:
        yield "command", _outcome(command)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items()) or "none seen"


def _latency(latency: Latency) -> str:
    figures = {
        "median": latency.p50,
        "p95": latency.p95,
        "p99": latency.p99,
        "max": latency.max,
    }
    return (
        ", ".join(f"{name} {value:.1f} ms" for name, value in figures.items() if value is not None) or "none"
    )


def _outcome(command: Command) -> str:
    line = shlex.join(command.argv)
    if command.status is None:
        return f"not started: {line}"
    return f"status {command.status} after {format_duration(command.seconds)}: {line}"
