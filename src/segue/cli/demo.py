"""``segue demo``: the main job on a real shop, with traffic from its first act to its last, and the proof."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from segue.cli.show import show_table
from segue.cli.verb import Verb
from segue.core.durations import format_duration
from segue.core.errors import Failed
from segue.disk.atomic import read_json
from segue.disk.home import Home
from segue.proof.spec import ProbeSpec, Shot

RATE = 50.0
UP_TIMEOUT = 300.0
LEAVE_TIMEOUT = 60.0
POLL = 0.05

CONFIG = """\
[app]
name = "shop"
module = "wsgi:app"
bind = "127.0.0.1:0"
workers = 2
threads = 4
check = "/healthz"
watch = "3s"
ready_timeout = "15s"
"""

VISITORS = (
    Shot(path="/"),
    Shot(path="/healthz"),
    Shot("POST", "/orders", (("Content-Type", "application/json"),), (b'{"id": {n}}',)),
    Shot(path="/"),
)

AS_IT_SHOULD = "as it should"
SEGUE = (sys.executable, "-m", "segue")


@dataclass(frozen=True)
class Act:
    """One thing that is done to the shop while people are in it.

    Attributes:
        title: what is shown.
        overlays: the releases whose files are laid over those of v1, in order.
        verb: what segue is told.
        error: why it has to be refused; None where it has to go well.
        version: what the page has to show after.
    """

    title: str
    overlays: tuple[str, ...]
    verb: str
    error: str | None
    version: str


ACTS = (
    Act("v2: other code, one more dependency, 3 s of import", ("v2",), "deploy", None, "v2"),
    Act("v3: it fails at import", ("v2", "v3"), "deploy", "import", "v2"),
    Act("v4: it is unhealthy", ("v2", "v4"), "deploy", "check", "v2"),
    Act("rollback", ("v2", "v4"), "rollback", None, "v1"),
)


@click.command(cls=Verb)
def demo() -> None:
    """Deploy a real shop under traffic: good, broken and unhealthy releases, and a rollback."""
    with tempfile.TemporaryDirectory(prefix="segue-demo-") as folder:
        project = Path(folder, "shop")
        _write_shop(project, ())
        (project / "segue.toml").write_text(CONFIG, encoding="utf-8")
        click.secho("v1: installing its dependencies and serving it", bold=True)
        with _served(project) as url, _visited(url, Path(folder, "traffic.json")) as traffic:
            rows = [_perform(act, project, url) for act in ACTS]
            report = traffic()
            orders = json.loads(_get(f"{url}/orders/ids"))["ids"]
    good = _show_proof(rows, report, orders)
    click.get_current_context().exit(0 if good else 1)


def _shop() -> Path:
    """The shop's source: beside this module in a wheel, in the repository otherwise."""
    package = Path(__file__).parents[1]
    in_wheel = package / "examples" / "shop"
    return in_wheel if in_wheel.is_dir() else package.parents[1] / "examples" / "shop"


def _write_shop(project: Path, overlays: tuple[str, ...]) -> None:
    unwanted = shutil.ignore_patterns("releases", "instance", "segue.toml", "__pycache__")
    for source in (_shop(), *(_shop() / "releases" / overlay for overlay in overlays)):
        shutil.copytree(source, project, ignore=unwanted, dirs_exist_ok=True)


@contextlib.contextmanager
def _served(project: Path) -> Iterator[str]:
    log = project.parent / "keeper.log"
    with log.open("w") as output:
        # a session of its own: Ctrl-C is for the demo, which then ends the keeper in order
        keeper = subprocess.Popen(
            (*SEGUE, "up"), cwd=project, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield _wait_until_up(keeper, Home(project.resolve()), log)
    finally:
        keeper.send_signal(signal.SIGTERM)
        try:
            keeper.wait(LEAVE_TIMEOUT)
        except subprocess.TimeoutExpired:
            keeper.send_signal(signal.SIGINT)
            keeper.wait(LEAVE_TIMEOUT)


def _wait_until_up(keeper: subprocess.Popen[bytes], home: Home, log: Path) -> str:
    deadline = time.monotonic() + UP_TIMEOUT
    while time.monotonic() < deadline and keeper.poll() is None:
        announced = home.read_keeper()
        if announced and home.read_record().live:
            return f"http://{announced['bind']}"
        time.sleep(POLL)
    raise Failed("demo", "The shop's v1 could not be served.", evidence=log.read_text(errors="replace"))


@contextlib.contextmanager
def _visited(url: str, report: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """Visitors in the shop; call what this gives to end their visit and hear how it was."""
    spec = ProbeSpec(url=f"{url}/", rate=RATE, shots=VISITORS, timeout=20.0, report=str(report))
    argv = (sys.executable, "-m", "segue.proof.probe_process")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, text=True, start_new_session=True) as probe:
        if probe.stdin is None:
            raise RuntimeError("the probe's pipe was asked for")
        probe.stdin.write(spec.to_json() + "\n")
        probe.stdin.flush()

        def finish() -> dict[str, Any]:
            probe.communicate()
            return dict(read_json(report))

        yield finish


def _perform(act: Act, project: Path, url: str) -> tuple[str, ...]:
    click.echo("")
    click.secho(f"── {act.title}", bold=True)
    _write_shop(project, act.overlays)
    began = time.monotonic()
    code = subprocess.run((*SEGUE, act.verb), cwd=project, check=False).returncode
    seconds = format_duration(time.monotonic() - began)
    found = (
        _newest_error(project),
        "v1" if ">v1<" in (page := _get(f"{url}/")) else "v2" if ">v2<" in page else "?",
    )
    good = found == (act.error, act.version) and code == (act.error is not None)
    result = "live" if found[0] is None else f"refused: {found[0]}"
    return act.title, result, f"exit {code}", seconds, found[1], AS_IT_SHOULD if good else "NOT AS IT SHOULD"


def _newest_error(project: Path) -> str | None:
    shown = subprocess.run((*SEGUE, "receipt", "--json"), cwd=project, capture_output=True, check=True)
    error = json.loads(shown.stdout)["error"]
    return None if error is None else str(error["kind"])


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - the shop's own address
        return str(answer.read().decode())


def _show_proof(rows: list[tuple[str, ...]], report: dict[str, Any], orders: list[Any]) -> bool:
    click.echo("")
    click.secho("── the proof", bold=True)
    show_table(("ACT", "RESULT", "ENDED", "TOOK", "SERVES", "VERDICT"), rows)
    click.echo("")
    for name, text in _facts(report, orders):
        click.echo(f"  {name:<12} {text}")
    stored_once = report["statuses"].get("201", 0) == len(orders) == len(set(orders))
    good = not report["failed"] and stored_once and all(row[-1] == AS_IT_SHOULD for row in rows)
    click.echo("")
    click.secho("no request was lost" if good else "this did not go as it should", bold=True)
    return good


def _facts(report: dict[str, Any], orders: list[Any]) -> list[tuple[str, str]]:
    waits, every = report["latency_ms"], 1000 / RATE
    twice = len(orders) - len(set(orders))
    late = (
        " (this machine was busy: the probe itself was late, so waits are too long)"
        if report["spoilt"]
        else ""
    )
    return [
        (
            "requests",
            f"{report['sent']} in {format_duration(report['duration_s'])}, half on kept-alive connections",
        ),
        ("lost", f"{report['failed']} {report['failures'] or ''}"),
        (
            "waits",
            f"median {waits['p50']:.0f} ms, p99 {waits['p99']:.0f} ms, slowest {waits['max']:.0f} ms{late}",
        ),
        (
            "longest gap",
            f"{report['longest_gap_ms']:.0f} ms without an answer, at a request every {every:.0f} ms",
        ),
        (
            "orders",
            f"{report['statuses'].get('201', 0)} acknowledged, {len(orders)} stored, {twice} of them twice",
        ),
        ("answered by", ", ".join(f"{name}: {n}" for name, n in sorted(report["generations"].items()))),
    ]
