"""The roll, on plain Gunicorns: new workers accept before old ones leave, and what can't harms nobody."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import math
import signal
import time
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.gunicorns import Gunicorn, gunicorn
from tests.support.site import demand_no_loss, traffic, until
from tests.support.table import often

from segue.core.errors import Failed, Stranded
from segue.core.plan import Plan
from segue.disk.processes import children_of
from segue.proof.ask import ask
from segue.reload import state
from segue.reload.listening import accepts
from segue.reload.look import Looked
from segue.reload.plan import ROLL, Wish
from segue.reload.roll import Roll
from segue.reload.run import STEPS, Run
from segue.reload.state import State
from segue.reload.unit import Unit

WORKERS = {
    "sync": (),
    "gthread": ("--threads=4",),
    "gevent": ("--worker-class=gevent",),
}


def roll_of(served: Gunicorn, ready_timeout: float = 30.0, count: int = 2) -> Roll:
    return Roll(served.service(), count, ready_timeout=ready_timeout, drain_timeout=10.0)


def run_of(served: Gunicorn, ready_timeout: float) -> Run:
    """A reload of it that is past its shadow."""
    told = {"MemoryMax": "infinity", "MemoryCurrent": "0"}
    service = dataclasses.replace(served.service(), unit=Unit("shop.service", told, ()))
    looked = Looked(service, {"settings": {"timeout": 10, "graceful_timeout": 10}}, (), "")
    wish = Wish("shop", "/", "", ready_timeout, accept_stall=False, release=None)
    plan = Plan("reload", "shop", "unit", ROLL, "", "shop-1", "", ())
    return Run(wish, looked, ROLL, None, plan, State("shop.service"), lambda event: None)


def has_workers(served: Gunicorn, number: int) -> bool:
    return len(served.service().workers) == number


def connect(served: Gunicorn) -> str:
    return f"unix:{served.socket}"


@pytest.mark.parametrize("kind", often(WORKERS, "sync"))
@pytest.mark.parametrize("at_once", often([2, 1], 2))
def test_all_workers_are_replaced_and_nobody_waits_for_the_import(
    tmp_path: Path, kind: str, at_once: int
) -> None:
    with gunicorn(tmp_path, *WORKERS[kind]) as served:
        roll = roll_of(served)
        make_app(served.folder, version="v2", import_seconds=1.0)
        with traffic("http://localhost/", connect=connect(served), keep_alive=0.0) as load:
            asyncio.run(roll.run(at_once))
            assert not served.service().workers & roll.old
            assert len(served.service().workers) == 2
        demand_no_loss(load)
        assert served.accepting()
        assert load.report["spoilt"] or load.report["latency_ms"]["max"] < 700


def test_a_worker_that_imports_does_not_accept(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as served:
        service = served.service()
        old = service.workers
        make_app(served.folder, version="v2", import_seconds=2.0)
        service.master.tell(signal.SIGTTIN)
        new = until(lambda: service.master.workers() - old, what="another worker")
        (worker,) = new
        began = time.monotonic()
        until(lambda: accepts(worker.pid, service.listeners), what="its accepting")
        # half of the import is waiting, in select(2) or the like: that is not taken for accepting
        assert time.monotonic() - began > 1.5


def test_while_an_import_hangs_the_old_workers_serve_until_mended_code_takes_their_place(
    tmp_path: Path,
) -> None:
    with gunicorn(tmp_path) as served:
        old = served.service().workers
        make_app(served.folder, version="v2", import_hang=True)
        with traffic("http://localhost/", connect=connect(served), keep_alive=0.0) as load:
            with pytest.raises(Failed) as caught:
                asyncio.run(roll_of(served, ready_timeout=1.5).run(2))
            assert "did not accept" in caught.value.message
            assert caught.value.evidence == "2 new workers, 4 in all"
            assert old <= served.service().workers
            make_app(served.folder, version="v3")
            # as with `timeout = 0`: nobody but us would ever end the workers that hang
            mended = dataclasses.replace(roll_of(served), drain_timeout=math.inf)
            asyncio.run(mended.run(2))
        demand_no_loss(load)
        assert len(served.service().workers) == 2
        assert not served.service().workers & mended.old


def test_a_worker_that_can_not_boot_ends_the_master_which_is_said(tmp_path: Path) -> None:
    """What the shadow is for: Gunicorn itself has no mercy."""
    with gunicorn(tmp_path) as served:
        make_app(served.folder, version="v2", import_error="ImportError")
        with pytest.raises(Stranded) as caught:
            asyncio.run(roll_of(served).run(2))
        assert caught.value.kind == "master_ended"


def test_a_program_that_a_hook_started_is_no_worker(tmp_path: Path) -> None:
    config = tmp_path / "hooks.py"
    config.write_text(
        "import subprocess\ndef when_ready(server):\n    server.beside = subprocess.Popen(('sleep', '600'))\n"
    )
    with gunicorn(tmp_path, f"--config={config}") as served:
        beside = until(lambda: children_of(served.service().master.process) - served.service().workers)
        try:
            asyncio.run(roll_of(served).run(2))
            assert children_of(served.service().master.process) == served.service().workers | beside
        finally:
            for process in beside:
                process.signal(signal.SIGTERM)
    assert len(beside) == 1


def test_what_somebody_left_in_mid_roll_is_put_right(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as served:
        service = served.service()
        for number in (3, 4):
            service.master.tell(signal.SIGTTIN)
            until(functools.partial(has_workers, served, number), what="another worker")
        until(served.accepting, what="all workers")
        asyncio.run(roll_of(served, count=2).run(2))
        assert len(service.master.workers()) == 2
        assert asyncio.run(ask("http://localhost/", connect(served))).status == 200


def test_the_next_reload_knows_how_many_workers_there_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_PLACE", tmp_path / "kept")
    with gunicorn(tmp_path) as served:
        make_app(served.folder, version="v2", import_hang=True)
        run = run_of(served, ready_timeout=1.5)
        run.state.make()
        with pytest.raises(Failed):
            asyncio.run(STEPS[ROLL](run))
        make_app(served.folder, version="v3")
        mended = run_of(served, ready_timeout=30.0)
        asyncio.run(STEPS[ROLL](mended))
        assert mended.notes == ["a reload was cut short before: there are 4 workers, and 2 are wanted"]
        assert len(served.service().workers) == 2
        assert run.state.left_at(run.looked.service.master.process) is None
