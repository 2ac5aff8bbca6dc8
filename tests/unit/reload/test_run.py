"""A reload that is interrupted in time is taken back; it waits as Gunicorn would, and shows no secrets."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from segue.core.address import Address
from segue.core.errors import Interrupted
from segue.core.plan import Plan, Step
from segue.disk.events import Event
from segue.reload import run as module
from segue.reload import shadow
from segue.reload.door import Door
from segue.reload.look import Looked, Service
from segue.reload.master import Command, read_master
from segue.reload.plan import ROLL, Wish
from segue.reload.report import _shown
from segue.reload.run import Run, _drain_timeout, _guarded
from segue.reload.shadow import Way, _place
from segue.reload.state import State
from segue.reload.unit import Unit

WISH = Wish("shop", "/", "", 60.0, accept_stall=False, release=None)
PLAN = Plan("reload", "shop", "unit", ROLL, "/srv", "shop-1", "/srv", (Step("shadow", ""), Step("flip", "")))


def run_of(*argv: str, **settings: Any) -> Run:
    service = Service(
        unit=Unit("shop.service", {}, ()),
        master=dataclasses.replace(read_master(os.getpid(), ()), argv=argv),
        command=Command(("python",), "", ()),
        workers=frozenset(),
        listeners=frozenset(),
        door=Door("localhost", Address("localhost", 80)),
        environ={},
    )
    looked = Looked(service, {"settings": settings}, (), "/srv")
    return Run(WISH, looked, ROLL, None, PLAN, State("shop.service"), _quiet)


def _quiet(event: Event) -> None:
    pass


@pytest.mark.parametrize("when", ["before", "shadow"])
def test_ctrl_c_counts_before_the_first_step_as_well(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """While the probe starts no step is under way."""
    taken, run = [], run_of()

    async def shadow_step(run: Run) -> str:
        taken.append("shadow")
        run.interrupt()
        return "it ended in the same moment"

    async def flip_step(run: Run) -> str:
        taken.append("flip")
        return ""

    monkeypatch.setattr(module, "STEPS", {"shadow": shadow_step, "flip": flip_step})
    if when == "before":
        run.interrupt()
    assert isinstance(asyncio.run(_guarded(run)), Interrupted)
    assert taken == ([] if when == "before" else ["shadow"])


def test_who_may_take_for_ever_is_not_cut() -> None:
    assert _drain_timeout(run_of(timeout=0, graceful_timeout=30)) == math.inf
    assert _drain_timeout(run_of(timeout=30, graceful_timeout=90)) == 95


@pytest.mark.parametrize(
    "words", [("-eA=s3cret",), ("-e", "A=s3cret"), ("--env=A=s3cret",), ("--env", "A=s3cret")]
)
def test_what_a_command_line_says_of_the_environment_is_not_shown(words: tuple[str, ...]) -> None:
    shown = _shown(run_of("gunicorn", *words, "a:b"))
    assert "s3cret" not in "".join(shown)
    assert "A=" in "".join(shown)
    assert shown[-1] == "a:b"


def test_the_place_of_a_shadow_is_reached_by_its_user_and_its_log_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "PLACE", tmp_path / "segue-reload")
    way = Way(Command(("python",), "", ()), {"HOME": "/srv"}, "/", "/", (), os.getuid(), os.getgid())
    before = os.umask(0o077)
    try:
        with _place(way) as place:
            modes = [stat.S_IMODE(path.stat().st_mode) for path in (place.parent, place, place / "log")]
            assert (place / "environ").read_text() == 'HOME="/srv"\n'
    finally:
        os.umask(before)
    assert modes == [0o755, 0o755, 0o600]
