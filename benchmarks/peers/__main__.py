"""``python -m benchmarks.peers``: all peers through one course; writes docs/benchmarks/peers.md."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.peers.course import Size, run
from benchmarks.peers.installed import Servers
from benchmarks.peers.peers import PEERS
from benchmarks.peers.place import Peer, Unavailable
from benchmarks.peers.table import Failed, Made, table

DEPLOYS = Size().deploys


@click.command()
@click.option("--only", multiple=True, type=click.Choice([peer.short for peer in PEERS]), help="These rows.")
@click.option("--deploys", default=DEPLOYS, metavar="N", help=f"Good deploys in each row [{DEPLOYS}].")
def main(only: Sequence[str], deploys: int) -> None:
    """Run the peers; the page is written by a whole run alone."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C does, it ends what was started
    load, size = os.getloadavg()[0], Size(deploys=deploys)
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        servers = Servers(Path(folder, "servers"))
        made = [_row(peer, servers, size) for peer in PEERS if not only or peer.short in only]
        versions = {name: number for name, number in servers.versions().items() if name in _packages()}
    if only or deploys < DEPLOYS:
        print(f"\n{table(made)}\n\na part of the benchmark, or a short form: no page was written")
        return
    from benchmarks.peers import page  # noqa: PLC0415 - its library for plots is that of whole runs

    print(page.write(made, size, versions, load).read_text())


def _row(peer: Peer, servers: Servers, size: Size) -> Made:
    """The peer's row, or why there is none; what surprises us is told in full beside."""
    print(f"{peer.name} ...", file=sys.stderr, flush=True)
    try:
        servers.install(peer.packages)
        row: Made = run(peer, servers.python, size)
    except Unavailable as error:
        row = Failed(peer.name, str(error))
    except Exception as error:  # noqa: BLE001 - the other peers have their rows all the same
        traceback.print_exc()
        row = Failed(peer.name, f"{type(error).__name__}: {error}".splitlines()[0])
    print(table([row]).splitlines()[-1], file=sys.stderr, flush=True)
    return row


def _packages() -> set[str]:
    return {package for peer in PEERS for package in peer.packages}


if __name__ == "__main__":
    main()
