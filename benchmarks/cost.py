"""``python -m benchmarks.cost``: what a deploy costs beside the app's time, in docs/benchmarks/cost.md."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from tests.support.machine.layers import unfit
from tests.support.machine.served import served
from tests.support.site import SEGUE, Site, configure, serving

from benchmarks.build import FILES, IN_A_FOLDER, copy_release, make_project, track
from benchmarks.numbers import Estimate, median

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks" / "cost.md"
DEPLOYS = 5
ROLLBACKS = 4
COPIES = 3
STARTS = 15
# seconds that the repeats of one figure may take; at least one is made
PATIENCE = 45.0
# the app's own time, and what the config says to wait; all else is segue's
OF_THE_APP = frozenset({"boot", "ready", "watch", "drain"})
MOST_STRETCH = 1.2  # the wall's time to the CPU's: above it something else had the CPU meanwhile

APP = """\
import os, sys
from flask import Flask

with open(os.environ["IMPORTS"], "a") as told:
    told.write("boot\\n" if "gunicorn.arbiter" in sys.modules else "check\\n")

app = Flask(__name__)


@app.get("/healthz")
def healthz():
    return "ok"
"""

TEXT = """\
# What a deploy costs

Written by `make bench-cost`, on {when}. {where}.

A Flask app with two workers under `segue up`, deployed again and again with nothing changed: dependencies
are linked from a kept environment, there is no migration. Each time is of a wall clock, in seconds: the
median over so many repeats, and its 95 % interval (with five repeats or fewer, the least and the
most).{mark}

| | measured | repeats | target | met |
|---|---|---|---|---|
{rows}

## What is in it

- **segue's own** is all that `segue deploy` took, from its start to its end, but `boot`, `ready`, `watch`
  and `drain`: those are the app's time, and what the config says to wait. `import` counts as segue's: it is
  one import of the app more than serving needs.
- **the command** is the start of `segue deploy` itself, its question to the keeper, and its end.
- **between steps** is what no step has: the plan's begin, the wait for the probe's first answer, its last
  report, the receipt.
- **a rollback, to the switch** is all that its executor does before new requests change sides, without `boot`
  and `ready`. With the embedded keeper a rollback boots. A server keeps a generation in standby; there a
  rollback asks it for its check instead. It was measured on Debian 12 with systemd and nginx; the start of
  the executor's unit is not in the figure.
- **10,000 files** of 1 to 4 KiB in {folders} folders, copied to a release, each time with nothing left to
  write of the time before. `git status`, which asks whether they are changed, is not in it.
- **to `cp -rp`** is the ratio to that command, which copied the same files right after.
- **`segue status`** and `python -c pass` were started in turns by the same interpreter; the ratio is of
  each pair.
- **Imports** are counted by the app itself, which writes a line whenever it is imported.

## What is left, and why

- Of 10,000 files each is opened, made, written, and given its mode and time, as by `cp -rp`: on a slow disk
  that is most of the time, and the ratio falls. The rest is Python's, and two more looks: whether a file may
  be a database, which no release has a copy of, and whether the code, all of it here, names `instance`. A
  link instead of a copy would be quicker, and let an edit in the project, or by the app, change what another
  release has.
- A rollback waits for the probe's first answer before its switch: else nobody would measure what the switch
  does. That is the start of one Python with asyncio and an HTTP parser.
  A probe that is kept running for the case would be there at once, and be one process more for ever.
- `import` takes as long as the import of the app does, and the start of a Python before it.
"""
STARVED = """

**The machine was starved in this run:** a bare Python took {stretch:.1f} times as long as it had the CPU.
Read times as too long by about that factor; ratios and counts hold."""

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes:
        name: what was measured.
        sample: what each repeat gave.
        target: the most that it may be, if there is a target.
        digits: how many of them are shown behind the point.
    """

    name: str
    sample: Sequence[float]
    target: float | None = None
    digits: int = 2

    @property
    def estimate(self) -> Estimate:
        """The middle of the sample, and its interval."""
        return median(self.sample)

    def row(self) -> str:
        """The row, as the page has it."""
        if not self.sample:
            return f"| {self.name} |  |  | ≤ {self.target:g} |  |"
        value, low, high = (
            f"{number:.{self.digits}f}"
            for number in (self.estimate.value, self.estimate.low, self.estimate.high)
        )
        target, met = "", ""
        if self.target is not None:
            target, met = f"≤ {self.target:g}", "yes" if self.estimate.value <= self.target else "**no**"
        measured = value if low == high else f"{value} ({low} to {high})"
        return f"| {self.name} | {measured} | {len(self.sample)} | {target} | {met} |"


def own_seconds(receipt: dict[str, Any], wall: float) -> float:
    """What of a deploy's `wall` seconds was segue's."""
    return wall - sum(float(step["seconds"]) for step in receipt["steps"] if step["name"] in OF_THE_APP)


def between_steps(receipt: dict[str, Any]) -> float:
    """The seconds of a deploy that belong to none of its steps."""
    return float(receipt["seconds"] - sum(step["seconds"] for step in receipt["steps"]))


def until_switch(receipt: dict[str, Any]) -> float:
    """The seconds until new requests change sides, without the app's own."""
    steps = {step["name"]: step for step in receipt["steps"]}
    app = sum(steps[name]["seconds"] for name in ("boot", "ready") if name in steps)
    return float(steps["switch"]["at_s"] + steps["switch"]["seconds"] - app)


def repeated(measure: Callable[[], Measured], most: int) -> list[Measured]:
    """What `measure` gives, up to `most` times, as long as that does not take too long."""
    end = time.monotonic() + PATIENCE
    found = [measure()]
    while len(found) < most and time.monotonic() < end:
        found.append(measure())
    return found


def main() -> None:
    """Measure, and write the page."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        figures = [
            *_of_a_site(Path(folder, "plain")),
            *_in_standby(),
            *_imports(Path(folder, "preload")),
            *_copies(Path(folder, "copies")),
        ]
        stretch = median([_stretch() for _ in range(STARTS)]).value
    versions = ", ".join(f"{name} {version(name)}" for name in ("flask", "gunicorn", "uv"))
    page = TEXT.format(
        when=f"{datetime.now(UTC):%d %B %Y}",
        where=f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores, "
        f"load average {load:.1f} at the start",
        mark=STARVED.format(stretch=stretch) if stretch > MOST_STRETCH else "",
        rows="\n".join(figure.row() for figure in figures),
        folders=FILES // IN_A_FOLDER,
    )
    PAGE.write_text(page)
    print(page)


def _of_a_site(folder: Path) -> Iterator[Figure]:
    with _served(folder) as site:
        deploys = [_deploy(site) for _ in range(DEPLOYS)]
        receipts = [receipt for receipt, _ in deploys]
        for number, step in enumerate(receipts[0]["steps"]):
            sample = [receipt["steps"][number]["seconds"] for receipt in receipts]
            yield Figure(f"`{step['name']}`, s", sample, digits=3)
        command = [wall - receipt["seconds"] for receipt, wall in deploys]
        yield Figure("the command, s", command, digits=3)
        yield Figure("between steps, s", [between_steps(receipt) for receipt in receipts], digits=3)
        yield Figure("segue's own of an unchanged deploy, s", [own_seconds(*each) for each in deploys], 1)
        back = [_asked(site, "rollback")[0] for _ in range(ROLLBACKS)]
        yield Figure("a rollback, to the switch, s", [until_switch(each) for each in back], 0.2, digits=3)
        yield Figure("`segue status`, to a bare Python", [_status_ratio(site) for _ in range(STARTS)], 12, 1)


def _in_standby() -> Iterator[Figure]:
    name = "a rollback in standby on a server, to the switch, s"
    if reason := unfit():
        yield Figure(f"{name}: not measured, {reason}", (), 0.2)
        return
    settings, back = {"watch": "300ms", "standby": "5m"}, []
    with served(settings=settings) as app:
        for number in range(ROLLBACKS):
            app.edit(f"v{number}", settings=settings)
            app.ask("deploy")
            back.append(app.ask("rollback"))
    if any(step["name"] == "boot" for receipt in back for step in receipt["steps"]):
        raise RuntimeError(f"a rollback in standby booted: {back}")
    yield Figure(name, [until_switch(each) for each in back], 0.2, digits=3)


def _imports(folder: Path) -> Iterator[Figure]:
    with _served(folder, preload=True) as site:
        told = folder.with_suffix(".imports")
        told.write_text("")
        _deploy(site)
        lines = told.read_text().splitlines()
    yield Figure("imports by a boot with preload", [lines.count("boot")], 1, digits=0)
    yield Figure("imports by the import check", [lines.count("check")], digits=0)


def _served(folder: Path, **settings: Any) -> Any:
    folder.mkdir(parents=True)
    (folder / "wsgi.py").write_text(APP)
    needed = "".join(f"{name}=={version(name)}\n" for name in ("flask", "gunicorn"))
    (folder / "requirements.txt").write_text(needed)
    configure(folder, workers=2, **settings)
    return serving(folder, env={**os.environ, "IMPORTS": str(folder.with_suffix(".imports"))})


def _deploy(site: Site) -> tuple[dict[str, Any], float]:
    return _asked(site, "deploy")


def _asked(site: Site, verb: str) -> tuple[dict[str, Any], float]:
    """The receipt of `verb`, and the seconds that the whole command took."""
    began = time.monotonic()
    done = site.segue(verb, "--json")
    wall = time.monotonic() - began
    if done.code != 0:
        raise RuntimeError(f"{verb} ended with {done.code}:\n{done.out}\n{done.err}")
    return done.document, wall


def _status_ratio(site: Site) -> float:
    return _started((*SEGUE, "status"), site.folder)[0] / _started(_BARE, site.folder)[0]


_BARE = (sys.executable, "-c", "pass")


def _stretch() -> float:
    wall, cpu = _started(_BARE, Path())
    return wall / cpu


def _started(argv: Sequence[str], folder: Path) -> tuple[float, float]:
    """The seconds that `argv` took, by the clock and of the CPU."""
    began = time.monotonic()
    with subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
    if process.returncode != 0:
        raise RuntimeError(f"{argv} ended with {process.returncode}")
    return wall, used.ru_utime + used.ru_stime


def _copies(folder: Path) -> Iterator[Figure]:
    make_project(folder)
    for where in ("without", "in"):
        if where == "in":
            track(folder)
        ours, plain = zip(*repeated(functools.partial(_copied_twice, folder), COPIES), strict=True)
        yield Figure(f"{FILES:,} files of a folder {where} git, s", ours, 2)
        yield Figure("the same, to `cp -rp`", [a / b for a, b in zip(ours, plain, strict=True)])
    shutil.rmtree(folder)


def _copied_twice(folder: Path) -> tuple[float, float]:
    """The seconds that a release takes, and those of a plain copy right after it."""
    ours = copy_release(folder)
    code = [str(path) for path in (folder / "project").iterdir() if path.name != ".git"]
    os.sync()
    return ours, _started(("cp", "-rp", *code, tempfile.mkdtemp(dir=folder)), folder)[0]


if __name__ == "__main__":
    main()
