"""Whoever dies in mid-deploy, whenever: the committed generation serves, and all comes to rest by itself."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import torture
from tests.support.machine.served import SEGUE, STATE, Served, served
from tests.support.site import demand_no_loss, until

KILLER = Path(__file__).parents[1] / "apps/killer.py"
EXECUTOR, RECOVERY = "segue.server.execute", "segue.server.recover"
PHASES = ("build", "import", "boot", "ready", "switch", "verify", "watch", "commit", "drain")
SURELY_TAKEN_BACK = ("build", "import", "boot", "ready", "watch")
ALWAYS, BY_LOT = ("watch",), 2
RATE = 50
END_TIMEOUT = 90.0

VERSIONS = (f"v{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served() as app:
        app.host.write("/usr/local/killer.py", KILLER.read_text(encoding="utf-8"))
        yield app


@pytest.fixture
def version(app: Served) -> str:
    """A version whose deploy is long enough to be met in each phase; the version that serves is another."""
    version = next(VERSIONS)
    app.edit(version, import_seconds=0.4, settings={"watch": "3s"})
    return version


def killer(app: Served, step: str, *words: str) -> subprocess.Popen[str]:
    """What kills the processes with `words` in their command lines, from the beginning of `step` on."""
    size = app.host.run("stat", "--format=%s", f"{STATE}/events.jsonl").out.strip()
    argv = ("/usr/bin/python3", "-I", "/usr/local/killer.py", f"{STATE}/events.jsonl", size, step, *words)
    return app.host.start(*argv)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=END_TIMEOUT)
    return process.returncode, out, err


def at_rest(app: Served) -> bool:
    """Whether the record rests, and only who it says runs."""
    record = app.record()
    names = [name for name in (record["live"], record.get("standby")) if name]
    units = sorted(f"segue-shop@{name}.{kind}" for name in names for kind in ("service", "socket"))
    return (record["phase"], record["candidate"]) == ("rest", None) and app.units() == units


def demand_rest(app: Served) -> None:
    try:
        until(lambda: at_rest(app), END_TIMEOUT, "rest")
    except AssertionError as error:
        error.add_note(f"{app.record()}\n{app.units()}\n{app.host.journal()[-5000:]}")
        raise
    live = app.record()["live"]
    assert app.host.run("readlink", "/run/segue/shop/front/live.sock").out == f"../{live}/http.sock\n"
    # nothing is left of a build that was cut
    states = app.host.run("ls", f"{STATE}/releases").out.split()
    folders = app.host.run("ls", "/srv/shop/releases").out.split()
    assert {f"{name}.json" for name in folders} <= {*states}


def demand_verdict(app: Served, before: tuple[str, str], version: str) -> bool:
    """Committed or taken back: the record, the app and the receipt say the same; which."""
    live, receipt = app.record()["live"], app.last_receipt()
    committed: bool = live != before[0]
    assert receipt["ok"] == committed
    assert receipt["generation"] != before[0]
    assert live == (receipt["generation"] if committed else before[0])
    assert app.answer() == (version if committed else before[1])
    return committed


def stand(app: Served) -> tuple[str, str]:
    """The live generation, and its version."""
    return app.record()["live"], app.answer()


@pytest.mark.parametrize("phase", torture.rows(PHASES, ALWAYS, BY_LOT))
def test_the_executor_dies(app: Served, version: str, phase: str) -> None:
    before = stand(app)
    with app.traffic(rate=RATE) as load:
        killing, asker = killer(app, phase, EXECUTOR), app.start("deploy")
        code, out, err = ended(asker)
        assert ended(killing) == (0, "", "")
        demand_rest(app)
    demand_no_loss(load)
    committed = demand_verdict(app, before, version)
    assert not (committed and phase in SURELY_TAKEN_BACK)
    assert code == (0 if committed else 1), f"{out}{err}"
    assert json.loads(out) == app.last_receipt()


@pytest.mark.parametrize("phase", ["build", "watch", "drain"])
def test_the_executor_and_who_comes_after_it_die(app: Served, version: str, phase: str) -> None:
    """The app's own unit is who converges then."""
    before = stand(app)
    with app.traffic(rate=RATE) as load:
        killing, asker = killer(app, phase, EXECUTOR, RECOVERY), app.start("deploy")
        code, _, err = ended(asker)
        assert ended(killing) == (0, "", "")
        demand_rest(app)
    demand_no_loss(load)
    demand_verdict(app, before, version)
    assert code == 5, err
    assert "journalctl" in err


def test_another_deploy_that_waits_is_not_harmed_by_the_end_of_the_first(app: Served, version: str) -> None:
    before = stand(app)
    with app.traffic(rate=RATE) as load:
        killing, first = killer(app, "watch", EXECUTOR), app.start("deploy")
        until(lambda: app.record()["phase"] != "rest", what="the first deploy")
        second = app.start("deploy", "--wait")
        codes = [ended(process)[0] for process in (first, killing, second)]
        demand_rest(app)
    demand_no_loss(load)
    assert codes == [1, 0, 0]
    assert app.record()["previous"] == before[0]
    assert app.answer() == version


@pytest.mark.parametrize("word", [SEGUE, "/opt/segue/bin/segue-exec"])
def test_a_deploy_goes_on_without_who_asked_for_it(app: Served, version: str, word: str) -> None:
    before = stand(app)
    with app.traffic(rate=RATE) as load:
        killing, asker = killer(app, "import", word), app.start("deploy")
        code, _, err = ended(asker)
        # who asked is gone, or has asked again
        assert code == 0 or (code in (-9, 137) and word == SEGUE), err
        assert ended(killing) == (0, "", "")
        demand_rest(app)
    demand_no_loss(load)
    assert demand_verdict(app, before, version)


@pytest.mark.parametrize("phase", ["boot", "watch"])
@pytest.mark.parametrize("end", ["reboot", "cut_power"])
def test_the_server_goes_down(app: Served, version: str, end: str, phase: str) -> None:
    before = stand(app)
    # so long that it is not over by the time that systemd gets round to it
    app.edit(version, import_seconds=0.4, settings={"watch": "5s"})
    met, asker = killer(app, phase), app.start("deploy")
    assert met.wait(END_TIMEOUT) == 0
    _take_down(app, end)
    for process in (met, asker):
        process.communicate(timeout=END_TIMEOUT)
    until(lambda: app.answer() in (before[1], version), END_TIMEOUT, "an answer")
    demand_rest(app)
    assert not demand_verdict(app, before, version)


def _take_down(app: Served, end: str) -> None:
    if end == "reboot":
        app.host.reboot()
    else:
        app.host.cut_power()
        app.host.boot()


def test_after_all_that_a_deploy_is_as_ever(app: Served, version: str) -> None:
    with app.traffic(rate=RATE) as load:
        receipt: dict[str, Any] = app.ask("deploy")
    demand_no_loss(load)
    assert app.answer() == version
    assert app.record()["live"] == receipt["generation"]
