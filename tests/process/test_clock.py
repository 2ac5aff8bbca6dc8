"""A clock that jumps a day in the middle of a deploy: names and dates follow it, and nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest
from tests.support import deaths, masters, torture
from tests.support.apps import make_app
from tests.support.site import configure, traffic
from tests.support.torture import Tell

from segue.config.load import load_config
from segue.deploy.clock import SystemClock
from segue.deploy.execute import execute
from segue.deploy.prepare import Wish, look_up, prepare
from segue.deploy.run import Site
from segue.disk.events import Event, append_event
from segue.embedded.environment import environment_of
from segue.embedded.tasks import OwnTasks
from segue.proof.receipt import Receipt

DAY = 86400.0
LONGEST = 60.0


@dataclass
class JumpingClock(SystemClock):
    """The real clock, but for the time of day."""

    jump: float = 0.0

    def now(self) -> float:
        return super().now() + self.jump


@dataclass
class Executor:
    """Deploys as the keeper does, with a clock that jumps when the next deploy comes to some step."""

    bench: masters.Bench
    clock: JumpingClock = field(default_factory=JumpingClock)
    step: str = ""
    by: float = 0.0

    @property
    def site(self) -> Site:
        bench = self.bench
        told = (bench.address, bench.environ, self._say, OwnTasks())
        return Site(bench.home, bench.processes, self.clock, *told, partial(environment_of, bench.home, {}))

    def _say(self, event: Event) -> None:
        append_event(self.bench.home.events, event)
        if event.get("status") == "running" and event["name"] == self.step:
            self.clock.jump += self.by

    def carry_out(self, verb: str, step: str = "", by: float = 0.0) -> Receipt:
        self.step, self.by = step, by
        config = load_config(self.bench.home.project, {})
        wish = Wish(verb)
        if verb in ("up", "deploy"):
            source, module, contract = look_up(self.bench.home.project, config, None, None)
            wish = replace(wish, source=source, module=module, contract=contract)
        return asyncio.run(execute(prepare(self.site, config, wish)))


@contextmanager
def executor(folder: Path) -> Iterator[Executor]:
    make_app(folder, version="v1")
    configure(folder, workers=2, keep=1)
    with masters.bench(folder) as bench:
        made = Executor(bench)
        assert made.carry_out("up").ok
        yield made


@pytest.mark.torture
@pytest.mark.parametrize(
    "step", ["watch", *(pytest.param(step, marks=pytest.mark.soak) for step in ("build", "drain"))]
)
@pytest.mark.parametrize("by", [DAY, -DAY], ids=["forward", "back"])
def test_the_clock_jumps_a_day(tmp_path: Path, step: str, by: float, tell: Tell) -> None:
    told = tell("sync", f"the clock jumps a day {'forward' if by > 0 else 'back'}", step)
    with executor(tmp_path / "project") as keeping:
        home = keeping.bench.home
        url = f"http://{keeping.bench.address}"
        with traffic(f"{url}/", rate=torture.RATE) as load:
            for version, at in (("v2", step), ("v3", "")):
                make_app(home.project, version=version)
                receipt = keeping.carry_out("deploy", at, by)
                assert receipt.ok, receipt.as_dict()
                assert receipt.seconds < LONGEST
                assert deaths.fetch(f"{url}/") == version
                assert list(keeping.bench.processes.observe()) == [home.read_record().live]
            assert keeping.carry_out("rollback").ok
            assert deaths.fetch(f"{url}/") == "v2"
    told.rest = deaths.SERVES[True]
    told.count(load)
