"""The benchmark of peers runs, and tells a deploy that loses from one that does not."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.peers.course import Size, run_deploys
from benchmarks.peers.peers import PEERS
from benchmarks.peers.row import Round

SHORT = Size(deploys=1, spare=0, rate=100, quiet=1, after=0.5)


def deploys_of(short: str) -> list[Round]:
    (peer,) = (peer for peer in PEERS if peer.short == short)
    return run_deploys(peer, Path(sys.executable), SHORT)


def test_stop_and_start_loses_requests() -> None:
    (seen,) = deploys_of("restart")
    assert seen.quiet.lost == 0 < seen.deploy.lost
    assert seen.seconds is not None


def test_segue_loses_none() -> None:
    (seen,) = deploys_of("segue")
    assert (seen.quiet.lost, seen.deploy.lost) == (0, 0)
    assert seen.seconds is not None
    assert seen.memory > 1
