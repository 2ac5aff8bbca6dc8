"""A real project served by a real keeper, and real traffic on it: what every process test is made of."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.way import NEAR, Way

from segue.disk.home import Home
from segue.disk.processes import ProcessId
from segue.proof.spec import ProbeSpec, Shot
from segue.run.generation import Generation

SEGUE = (sys.executable, "-m", "segue")
START_TIMEOUT = 120.0
POLL = 0.02

# short times, so that a deploy takes seconds; every test may say otherwise
QUICK = {
    "watch": "300ms",
    "watch_requests": 5,
    "watch_limit": "20s",
    "drain_timeout": "15s",
    "linger": "300ms",
    "ready_timeout": "20s",
    "check_interval": "200ms",
    # the probe and the check wait as long; a busy machine may stand still for longer than the default of 5 s
    "check_timeout": "20s",
    "probe_rate": 50,
}


def until(condition: Callable[[], Any], timeout: float = 60.0, what: str = "the condition") -> Any:
    """Poll `condition` until it is true, and return what it gave.

    Raises:
        AssertionError: it was not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout} s"
        time.sleep(POLL)
    return value


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on its standard output."""
        document: dict[str, Any] = json.loads(self.out)
        return document


def segue(
    folder: Path,
    *words: str,
    timeout: float = 180.0,
    env: dict[str, str] | None = None,
    prefix: tuple[str, ...] = (),
) -> Outcome:
    """Run one segue command in `folder`, by the command `prefix` where one is given."""
    argv = (*prefix, *SEGUE, *words)
    done = subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False, env=env
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def configure(folder: Path, **settings: Any) -> None:
    """Write the project's segue.toml: QUICK, and `settings` over it."""
    words = {"name": "sample", "module": "wsgi:app", "check": "/healthz", **QUICK, **settings}
    lines = [f"{key} = {json.dumps(value)}" for key, value in words.items() if value is not None]
    (folder / "segue.toml").write_text("[app]\n" + "\n".join(lines) + "\n")


@dataclass
class Site:
    """A project and the keeper that serves it."""

    folder: Path
    process: subprocess.Popen[str]
    log: Path
    started: list[ProcessId] = field(default_factory=list)
    way: Way = NEAR

    @property
    def home(self) -> Home:
        """Where the keeper keeps everything."""
        return Home(self.folder)

    @property
    def bind(self) -> str:
        """The address it listens on."""
        keeper = until(self.home.read_keeper, what="the keeper's announcement")
        return str(keeper["bind"])

    @property
    def url(self) -> str:
        """The address as a URL without a path."""
        return f"http://{self.bind}"

    def segue(self, *words: str, **options: Any) -> Outcome:
        """Run one segue command in the project."""
        return segue(self.folder, *words, **options)

    def ask(self, *words: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start one segue command in the project, and leave it running."""
        argv = (*SEGUE, *words)
        return subprocess.Popen(
            argv,
            cwd=self.folder,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def deploy(self, *words: str) -> dict[str, Any]:
        """Deploy, demand that it went well, and return its receipt."""
        outcome = self.segue("deploy", "--json", *words)
        assert outcome.code == 0, f"{outcome.out}\n{outcome.err}\n{self.keeper_log()}"
        return outcome.document

    def live(self) -> Generation:
        """The live generation."""
        name = self.home.read_record().live
        assert name is not None
        return Generation(name, self.home.generation(name))

    def generation(self, name: str) -> Generation:
        """The generation of that name."""
        return Generation(name, self.home.generation(name))

    def masters(self) -> list[ProcessId]:
        """The masters of all generations that are alive."""
        found = [self.generation(name).master() for name in self.home.generations()]
        return [master for master in found if master is not None and master.alive()]

    def controller(self) -> ProcessId:
        """The keeper's controller."""
        keeper = until(self.home.read_keeper, what="the keeper's announcement")
        return ProcessId(keeper["pid"], keeper["started"])

    def at_rest(self) -> bool:
        """Whether nothing is under way, and the live generation alone serves."""
        record = self.home.read_record()
        alive = [name for name in self.home.generations() if self._alive(name)]
        return record.phase == "rest" and record.candidate is None and alive == [record.live]

    def _alive(self, name: str) -> bool:
        master = self.generation(name).master()
        return master is not None and master.alive()

    def keeper_log(self) -> str:
        """What the keeper printed."""
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def serving(
    folder: Path,
    *flags: str,
    bind: str = "",
    env: dict[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    way: Way = NEAR,
) -> Iterator[Site]:
    """The project in `folder`, served by `segue up` over `way`; at the end everything it started is gone."""
    log = folder.parent / f"{folder.name}.keeper.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            (*way.server, *prefix, *SEGUE, "up", "--bind", bind or f"{way.host}:0", *flags),
            cwd=folder,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
            env=env,
        )
    site = Site(folder.resolve(), process, log, way=way)
    try:
        until(lambda: _is_up(site), START_TIMEOUT, "serving")
        yield site
    finally:
        _end(site)


def _is_up(site: Site) -> bool:
    assert site.process.poll() is None, f"segue up ended with {site.process.returncode}:\n{site.keeper_log()}"
    keeper = site.home.read_keeper()
    return keeper is not None and keeper["parent"] == site.process.pid and site.at_rest()


def _end(site: Site) -> None:
    masters = site.masters()
    for number in (signal.SIGTERM, signal.SIGINT):
        if site.process.poll() is None:
            os.kill(site.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                site.process.wait(20)
    if site.process.poll() is None:
        site.process.kill()
        site.process.wait(10)
    for master in masters:
        master.signal(signal.SIGKILL)
    until(lambda: not site.masters(), what="the end of all masters")


@dataclass
class Traffic:
    """The probe's report, once the traffic has ended.

    Attributes:
        file: where the report until now is, while it has not.
    """

    file: Path
    report: dict[str, Any] = field(default_factory=dict)

    def so_far(self) -> dict[str, Any]:
        """The report until now."""
        document: dict[str, Any] = json.loads(self.file.read_text())
        return document

    @property
    def lost(self) -> int:
        """How many requests failed."""
        return int(self.report["failed"])


@contextlib.contextmanager
def traffic(
    url: str,
    *,
    rate: float = 100,
    keep_alive: float = 0.5,
    shots: tuple[Any, ...] | None = None,
    connect: str = "",
    insecure: bool = False,
    way: Way = NEAR,
) -> Iterator[Traffic]:
    """Open-loop traffic on `url`, a share of it kept alive, from before the block to its end."""
    report = Path(os.environ.get("TMPDIR", "/tmp")) / f"traffic-{os.getpid()}-{time.monotonic_ns()}.json"
    spec = ProbeSpec(
        url=url,
        connect=connect,
        insecure=insecure,
        rate=rate,
        keep_alive=keep_alive,
        shots=shots or (Shot(),),
        report=str(report),
        timeout=60.0,
    )
    argv = (*way.client, sys.executable, "-m", "segue.proof.probe_process")
    result = Traffic(report)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdin is not None
        process.stdin.write(spec.to_json() + "\n")
        process.stdin.flush()
        until(lambda: report.exists() and json.loads(report.read_text())["sent"] > 0, what="traffic")
        try:
            yield result
        finally:
            process.stdin.close()
            process.wait(100)
            result.report = json.loads(report.read_text())
            report.unlink()


def demand_no_loss(result: Traffic) -> None:
    """The assertion of this house: not one request was lost."""
    assert result.report["sent"] > 0
    assert result.lost == 0, json.dumps(
        {key: result.report[key] for key in ("sent", "failures", "samples")}, indent=1
    )
