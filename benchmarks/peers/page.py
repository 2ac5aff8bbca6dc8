"""The page of all peers."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers import plots
from benchmarks.peers.course import Size
from benchmarks.peers.place import IMPORT_SECONDS, SYNC_WORKERS, THREADS, WORKERS, nginx_program
from benchmarks.peers.row import Row
from benchmarks.peers.table import STARVED, Made, table

FOLDER = Path(__file__).parents[2] / "docs" / "benchmarks"

TEXT = """\
# Deploys, by segue and by others

Written by `make bench`, on {when}. {where}.

{table}

![Lost requests](peers-lost.svg)

![Waits](peers-waits.svg)

## What was done

Each peer serves the same app, which imports for {seconds:g} s, half of it computing, on {workers} workers
(sync: {sync}), with {threads} threads each where they have threads. All of it runs over loopback. segue's
probe sends {rate:g} requests a second, GET and POST, half of them over connections that are kept alive. It
retries nothing.

- **Lost per million** is computed from the requests that were sent through {deploys} good deploys or more;
  their number stands beside; the more, the longer a deploy takes. Where none of n was lost, the rate may
  still be as high as 3 in n, at 95 %.
- **Races lost**: connections that are kept alive, idle, half sent or not open yet send 10 to 300 ms after
  the old workers were told to leave (`tests/support/race.py`); where workers leave one after the other, the
  first of them. Sync workers and uWSGI keep no connection.
  Behind nginx it is nginx's connections that are raced.
- **Slowest request**, **longest gap**: as multiples of those in the {quiet:g} s of quiet before each deploy;
  the median over the deploys. A deploy is the longer time of the two.
- **New release after**: from the command to its first answer on a new connection; the median.
- **Does not import**, **unhealthy** (its check answers 500): what new connections meet in the end, and what
  was lost meanwhile.
- **Memory**: the proportional set sizes of all its processes, nginx and the asking command left out, at the
  most during a deploy, as a multiple of that at rest; the median.

{starved} marks a row in whose run the probe, or a racer, was held up for more than 50 ms. Such a round is
repeated, and the row marked if that did not help: read its waits as rough. Losses count in any case.

## How each is deployed

- *segue, handoff*: `segue deploy`, with a watch of 1 s.
- *segue, blue-green by a link*: the gate, the check, the rename of the link, the drain and nginx's site are
  segue's own. systemd, which keeps the generations on a server, takes root and is left out: the benchmark
  starts them instead. So are the build, the import check, verify, the watch and the probe: its times and its
  memory are the switch's alone.
- *stop and start*: TERM, wait for its end, start.
- *HUP*: the signal, to the master. With `--preload` the new code is never loaded.
- *USR2*: a second master; once the new release answers, TERM to the first.
- *uWSGI*: `c` to the master's FIFO, with `--lazy-apps`.
- *blue-green by nginx reload*: start beside on another port, ask its check, write the port into nginx's site,
  reload nginx, and stop the old one with TERM when the command has returned, as scripts do.
"""


def write(made: Sequence[Made], size: Size, servers: dict[str, str], load: float) -> Path:
    """Write the page and its plots; where the page is."""
    rows = [row for row in made if isinstance(row, Row)]
    plots.lost(rows, FOLDER / "peers-lost.svg")
    plots.waits(rows, FOLDER / "peers-waits.svg")
    page = FOLDER / "peers.md"
    page.write_text(
        TEXT.format(
            when=f"{datetime.now(UTC):%d %B %Y}",
            where=_where(servers, load),
            table=table(made),
            seconds=IMPORT_SECONDS,
            workers=WORKERS,
            sync=SYNC_WORKERS,
            threads=THREADS,
            rate=size.rate,
            deploys=size.deploys,
            quiet=size.quiet,
            starved=STARVED,
        )
    )
    return page


def _where(servers: dict[str, str], load: float) -> str:
    ours = {"segue": version("segue"), "gunicorn": version("gunicorn"), "uvicorn": version("uvicorn")}
    named = ", ".join(f"{name} {number}" for name, number in sorted({**servers, **ours}.items()))
    return (
        f"Python {platform.python_version()}, {named}, {_nginx()}; "
        f"{os.cpu_count()} cores, load average {load:.1f} at the start"
    )


def _nginx() -> str:
    program = nginx_program()
    if program is None:
        return "no nginx"
    said = subprocess.run((program, "-v"), capture_output=True, text=True, check=True).stderr
    return said.strip().rpartition(": ")[2].replace("/", " ")
