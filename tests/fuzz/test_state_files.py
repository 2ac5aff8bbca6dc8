"""Whatever the bytes in segue's own files, reading them ends with a documented exit code and a sentence."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from tests.support.damage import damaged
from tests.support.in_memory import JumpClock

from segue.cli.main import cli
from segue.core.address import Address
from segue.core.errors import ERRORS_BY_EXIT_CODE, Bug, Refused, SegueError
from segue.core.record import Record
from segue.deploy.apply import apply_record
from segue.deploy.env import check_environment
from segue.deploy.recovered import write_interrupted_receipt
from segue.deploy.releases import Releases
from segue.deploy.run import Site
from segue.disk.home import Home
from segue.embedded.environment import environment_of
from segue.embedded.masters import Masters
from segue.embedded.tasks import OwnTasks
from segue.proof.receipt import read_receipt
from segue.run.trouble import trouble_of

RELEASE = "20261121T013455-8c1f2e9"
LIVE = f"{RELEASE}.1"
NEXT = "20261121T014455-8c1f2e9.1"
AT = "2026-11-21T01:34:55.000+00:00"
STEP = {"name": "build", "status": "done", "seconds": 1.5, "detail": "12 files"}
ERROR = {"kind": "check", "message": "The check / answered 500.", "evidence": "500", "hint": "look"}
TRAFFIC = {
    "url": "http://127.0.0.1:8000/", "sent": 10, "ok": 9, "failed": 1, "failures": {"eof": 1},
    "spoilt": False, "longest_gap_ms": 5.0, "final": True,
    "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0},
}  # fmt: skip
TIMELINE = {
    "sent": 2, "most": 2000, "outcomes": ["ok", "eof"], "sides": ["", LIVE],
    "latency_ms": {LIVE: {"count": 1, "p50": 1.0, "p95": 1.0, "p99": 1.0, "max": 1.0}},
    "points": [[0.1, 1.0, 0, 1], [0.2, 1.0, 1, 0]],
}  # fmt: skip
SIDE = {"requests": 5, "errors": 0, "latency_ms": {"p50": 1.0, "p95": 2.0}}
RECEIPT = {
    "ok": False, "exit_code": 1, "verb": "deploy", "app": "shop", "target": "local", "strategy": "handoff",
    "release": RELEASE, "generation": LIVE, "previous": None, "by": "ann", "started_at": AT, "seconds": 9.5,
    "steps": [STEP], "traffic": TRAFFIC, "watch": {"old": SIDE, "new": SIDE},
    "lost": {"by_probe": 1, "held_by_crashed": 0}, "drained": 0, "cut": 0,
    "notes": ["a note"], "error": ERROR,
    "hooks": [{"hook": "after_build", "command": "true", "status": "ended with status 0", "printed": ""}],
}  # fmt: skip
KEEPER = {
    "pid": 1, "started": 0, "parent": 1, "version": "0.1.0", "socket": "/nowhere",
    "bind": "127.0.0.1:8000", "app": "shop", "since": AT,
}  # fmt: skip
STATE = {
    "id": RELEASE, "state": "good", "created": AT, "by": "ann", "revision": "8c1f2e9", "commit": "8c1f2e9",
    "dirty": False, "module": "wsgi:app", "python": "/usr/bin/python3", "starts": 1, "live_at": AT,
    "env": [{"key": "NAME", "kind": "text?", "example": None, "configured": True}],
}  # fmt: skip
START = {
    "generation": LIVE, "release": RELEASE, "root": "/srv", "argv": ["/bin/false"], "environ": {},
    "unset": [],     "ready_timeout": 1.0, "drain_timeout": 1.0, "linger": 0.1,
}  # fmt: skip
CHECK = {
    "path": "/",
    "host": "x",
    "scheme": "http",
    "at": 1.0,
    "status": "500",
    "settled": True,
    "location": None,
}
BEGIN = {"at": AT, "deploy": NEXT, "event": "begin", "verb": "deploy", "app": "shop", "by": "ann"}

# a start that no process has: one whose pid is altered to that of a stranger must not be taken for it
NOBODY = 2**60
GENERATION = f"generations/{LIVE}"
FILES: dict[str, Any] = {
    "record.json": {"live": None, "previous": LIVE, "candidate": NEXT, "phase": "boot"},
    "keeper.json": KEEPER,
    f"releases/{RELEASE}.json": STATE,
    f"receipts/{LIVE}.json": RECEIPT,
    f"receipts/{NEXT}.probe": TRAFFIC,
    f"receipts/{LIVE}.timeline": TIMELINE,
    f"{GENERATION}/start.json": START,
    f"{GENERATION}/booted.json": {
        "workers": 2,
        "worker_class": "sync",
        "server": "gunicorn",
        "version": "27.0.1",
        "overruled": {},
    },
    f"{GENERATION}/master.json": {"pid": 4_000_000, "started": NOBODY},
    f"{GENERATION}/master.77": {"pid": 4_000_001, "started": NOBODY},
    f"{GENERATION}/refused.json": {"kind": "gunicorn_config", "evidence": "no"},
    f"{GENERATION}/check.78": CHECK,
    f"{GENERATION}/crashed.79": {"held": 1, "at": 1.0},
    f"{GENERATION}/env.json": {"salt": "5a17", "keys": [{"key": "NAME", "digest": "d16e57"}]},
    "events.jsonl": {**BEGIN, "event": "step", **STEP},
    "lock": {"what": "deploy", "pid": 1, "user": "ann", "since": AT},
}
VERBS = (("status",), ("releases",), ("history",), ("receipt",), ("receipt", LIVE), ("receipt", NEXT))
PAGES = (("receipt", LIVE, "--html", "-"), ("history", "--html"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    project = tmp_path_factory.mktemp("shop")
    before = Path.cwd()
    os.chdir(project)
    try:
        yield Home(project.resolve())
    finally:
        os.chdir(before)


def restore(home: Home) -> None:
    """All files as they should be."""
    home.create()
    home.release(RELEASE).mkdir(exist_ok=True)
    for name in (LIVE, NEXT):
        home.generation(name).mkdir(exist_ok=True)
    home.receipt(NEXT).unlink(missing_ok=True)
    for name, document in FILES.items():
        (home.root / name).write_text(json.dumps(document) + "\n")
    (home.generation(LIVE) / "counters.80").write_bytes(bytes(8 * 37 * 2))


def run(*words: str) -> Result:
    """One command line, in this process: Click's runner catches what would end it."""
    return CliRunner().invoke(cli, words)


def demand_documented(result: Result) -> None:
    """It ended in order, and said why where it failed."""
    documented = {0, *ERRORS_BY_EXIT_CODE} - {Bug.exit_code}
    assert result.exit_code in documented, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    if result.exit_code:
        assert result.stderr.startswith("error: "), result.stderr


def look(home: Home) -> None:
    """Every reading verb."""
    for words in VERBS:
        demand_documented(run(*words))
        told = run(*words, "--json")
        demand_documented(told)
        json.loads(told.stdout)
    for page in PAGES:
        demand_documented(run(*page))


def converge(home: Home) -> None:
    """What the next controller does first, but for starting anything; only documented errors end it."""
    with socket.socket() as listener, contextlib.suppress(SegueError):
        masters = Masters(home, listener.fileno(), {})
        silent, environment = lambda _event: None, partial(environment_of, home, {})
        address = Address("127.0.0.1", 8000)
        site = Site(home, masters, JumpClock(), address, {}, silent, OwnTasks(), environment)
        record = home.read_record()
        with contextlib.suppress(SegueError):
            asyncio.run(apply_record(Record(), masters))
        with contextlib.suppress(SegueError):
            site.releases.next_start(RELEASE)
            site.releases.rollback_target(record, None)
        with contextlib.suppress(SegueError):
            site.releases.rollback_target(record, RELEASE)
        with contextlib.suppress(SegueError):
            site.releases.python(RELEASE)
            site.releases.module(RELEASE)
            check_environment(site, site.releases.contract(RELEASE), LIVE)
        generation = site.generation(LIVE)
        with contextlib.suppress(SegueError):
            trouble_of(generation, late=True)
        site.releases.prune(5, record)
        site.releases.sweep()
        write_interrupted_receipt(site, record)
        assert all(read_receipt(home.receipt(name)) for name in (record.candidate, record.live) if name)


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_any_bytes_in_any_file(home: Home, name: str, data: st.DataObject) -> None:
    restore(home)
    (home.root / name).write_bytes(data.draw(damaged(FILES[name])))
    look(home)
    converge(home)


@given(content=st.binary(max_size=1000))
def test_any_bytes_in_the_counters(home: Home, content: bytes) -> None:
    restore(home)
    (home.generation(LIVE) / "counters.80").write_bytes(content)
    (home.generation(LIVE) / "counters.ended").write_bytes(content)
    look(home)


# What this search found, in its smallest form.


@dataclass(frozen=True)
class Found:
    """A damaged file, and what one verb has to say of it."""

    name: str
    content: str
    words: tuple[str, ...]
    code: int
    told: str


FOUND = [
    Found("record.json", "null", ("status",), 5, "record.json is damaged."),
    Found("keeper.json", "{}", ("status",), 3, "keeper.json is damaged, so the keeper can't be found."),
    Found("keeper.json", "{}", ("recover",), 3, "keeper.json is damaged, so the keeper can't be found."),
    Found(f"{GENERATION}/master.json", "[]", ("status",), 5, "master.json is damaged."),
    Found(f"{GENERATION}/master.json", '{"pid": 1, "started": 1}', ("status",), 5, "master.json is damaged."),
    Found(f"releases/{RELEASE}.json", "[]", ("releases",), 0, f"{RELEASE}  damaged"),
    Found(f"receipts/{LIVE}.json", "null", ("receipt",), 3, f"{LIVE}.json is damaged."),
    Found(f"receipts/{LIVE}.json", "{}", ("history",), 0, f"{LIVE}.json is damaged, and left out"),
    Found(
        f"receipts/{LIVE}.json", json.dumps({**RECEIPT, "seconds": float("nan")}), ("receipt",), 3, "damaged"
    ),
    Found(f"receipts/{LIVE}.json", json.dumps({**RECEIPT, "error": None}), ("receipt",), 3, "damaged"),
    Found(
        f"receipts/{LIVE}.json",
        json.dumps({**RECEIPT, "notes": ["\ud800"]}),
        ("receipt",),
        0,
        "note         \\ud800",
    ),
    Found(f"{GENERATION}/counters.80", "short", ("status",), 0, "not running"),
]


@pytest.mark.parametrize("found", FOUND, ids=lambda found: f"{found.words[0]}-{found.name}")
def test_one_damaged_file(home: Home, found: Found) -> None:
    restore(home)
    (home.root / found.name).write_text(found.content)
    result = run(*found.words)
    demand_documented(result)
    assert (result.exit_code, found.told in result.output) == (found.code, True), result.output


DAMAGED_LOGS = [{}, {"name": "boot", "status": "running"}, {"name": "boot", "status": "done", "seconds": "1"}]


@pytest.mark.parametrize("step", DAMAGED_LOGS)
@pytest.mark.parametrize("at", [AT, "yesterday", "2026-11-21", 7, None])
def test_a_damaged_event_does_not_keep_a_successor_from_its_receipt(home: Home, step: Any, at: Any) -> None:
    restore(home)
    events = ({**BEGIN, "at": at}, {"deploy": NEXT, "event": "step", **step})
    home.events.write_text("".join(json.dumps(event) + "\n" for event in events))
    home.probe(NEXT).write_text("{}")
    converge(home)
    receipt = read_receipt(home.receipt(NEXT))
    assert receipt is not None
    assert receipt["error"]["kind"] == "executor_died"
    assert receipt["traffic"] is None


def test_a_release_whose_file_is_damaged_is_not_started(home: Home) -> None:
    restore(home)
    home.release_state(RELEASE).write_text("{}")
    with pytest.raises(Refused, match="does not say how"):
        Releases(home).module(RELEASE)
    assert Releases(home).next_start(RELEASE) == 2
    home.release_state(RELEASE).write_text("[")
    with pytest.raises(Refused, match="is damaged, so it can't serve"):
        Releases(home).rollback_target(Record(), RELEASE)
