"""The app's other processes on a real server: Celery, a scheduler, one that does not start."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.machine.host import CHECKOUT, Host, booted
from tests.support.machine.served import DEPLOY_TIMEOUT, SEGUE, STATE, TARGET, Served
from tests.support.site import demand_no_loss, until

# a virtual environment with Celery in it for each deploy
pytestmark = pytest.mark.timeout(900)
DATA = "/srv/shop/shared/instance"
TASKS = f'''\
"""Tasks that write down when they begin and end, over a broker of files."""

import os
import time

from celery import Celery

app = Celery("tasks", broker="filesystem://")
queue = "{DATA}/queue"
folders = {{"data_folder_in": queue, "data_folder_out": queue, "control_folder": "{DATA}/control"}}
for folder in folders.values():
    os.makedirs(folder, exist_ok=True)
app.conf.update(broker_transport_options=folders, worker_prefetch_multiplier=1)


def told(word, number):
    with open("{DATA}/tasks", "a") as file:
        file.write(f"{{word}} {{number}}\\n")


@app.task
def work(number):
    told("began", number)
    time.sleep(0.7)
    told("ended", number)
'''
ENQUEUE = f'''\
"""Send tasks until somebody says that it is enough."""

import os
import time

from tasks import app, folders, queue, work

# a worker takes a file from the queue though it is not whole yet, and drops it: it comes there by a rename
coming = "{DATA}/coming"
os.makedirs(coming, exist_ok=True)
app.conf.update(broker_transport_options={{**folders, "data_folder_out": coming}})

number = 0
while not os.path.exists("{DATA}/enough"):
    work.delay(number)
    for name in os.listdir(coming):
        os.replace(f"{{coming}}/{{name}}", f"{{queue}}/{{name}}")
    number += 1
    # less than the two workers can do
    time.sleep(0.6)
print(number)
'''
TICK = f'''\
"""A scheduler, which takes its time to leave; it tells when it began, and when it ended."""

import os
import signal
import time


def told(word):
    with open("{DATA}/ticks", "a") as file:
        file.write(f"{{word}} {{os.getpid()}} {{os.environ['SEGUE_GENERATION']}}\\n")


def leave(*_):
    time.sleep(0.5)
    told("ended")
    os._exit(0)


signal.signal(signal.SIGTERM, leave)
told("began")
print("the scheduler ticks", flush=True)
while True:
    signal.pause()
'''
CELERY = "celery -A tasks worker --pool prefork --concurrency 2 --loglevel warning"
PROCESSES = {
    "worker": {"command": CELERY, "drain_timeout": "30s", "steady": "2s", "required": True},
    "beat": {"command": f"celery -A tasks beat -s {DATA}/beat", "single": True, "steady": "2s"},
    "clock": {"command": ["python", "tick.py"], "single": True, "steady": "1s"},
}
FILES = {
    "tasks.py": TASKS,
    "enqueue.py": ENQUEUE,
    "tick.py": TICK,
    "requirements.txt": "flask\ngunicorn\ncelery\n",
}


def edit(app: Served, version: str, processes: dict[str, Any] | None = None, **settings: Any) -> None:
    chosen = {"processes": PROCESSES if processes is None else processes, "drain_timeout": "5s", **settings}
    app.edit(version, settings=chosen, files=FILES)


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with booted() as host:
        app = Served(host)
        edit(app, "v1")
        host.run(SEGUE, "setup", TARGET, "--yes", cwd=CHECKOUT, timeout=DEPLOY_TIMEOUT)
        app.ask("deploy")
        yield app


def running(app: Served) -> dict[str, tuple[str, int]]:
    """The generation and the pid of each process, by name."""
    status = app.ask("status")
    assert all(process["state"] == "active" for process in status["processes"]), status
    return {process["name"]: (process["generation"], process["pid"]) for process in status["processes"]}


def all_run(app: Served, live: str) -> bool:
    status = app.ask("status")
    return {(one["generation"], one["state"]) for one in status["processes"]} == {(live, "active")}


def lines(host: Host, name: str) -> list[list[str]]:
    return [line.split() for line in host.read(f"{DATA}/{name}").splitlines()]


def demand_one_clock_at_a_time(host: Host) -> None:
    alive: list[str] = []
    for word, pid, _ in lines(host, "ticks"):
        alive = [*alive, pid] if word == "began" else [one for one in alive if one != pid]
        assert len(alive) <= 1, "two schedulers ran at once"


def test_tasks_in_flight_are_done_once_across_five_deploys(app: Served) -> None:
    sender = app.host.start(SEGUE, "run", TARGET, "--", "python", "enqueue.py", user="deploy", cwd=CHECKOUT)
    until(lambda: app.host.exists(f"{DATA}/tasks"), 60, "the first task")
    with app.traffic(rate=20) as load:
        for number in range(2, 7):
            edit(app, f"v{number}")
            generation = app.ask("deploy")["generation"]
            assert {where for where, _ in running(app).values()} == {generation}
    demand_no_loss(load)
    app.host.run("touch", f"{DATA}/enough")
    output, errors = sender.communicate(timeout=60)
    sent = int(output.split()[-1])
    assert sent > 15, errors

    def ended() -> bool:
        return len([word for word, _ in lines(app.host, "tasks") if word == "ended"]) >= sent

    until(ended, 60, "the end of all tasks")
    counts = Counter((word, int(number)) for word, number in lines(app.host, "tasks"))
    assert counts == {(word, number): 1 for word in ("began", "ended") for number in range(sent)}
    demand_one_clock_at_a_time(app.host)


def test_a_rollback_brings_the_processes_of_the_release_before(app: Served) -> None:
    before = app.record()["live"]
    back = app.ask("rollback")
    assert "processes" in [step["name"] for step in back["steps"]]
    assert {where for where, _ in running(app).values()} == {back["generation"]} != {before}
    demand_one_clock_at_a_time(app.host)


def test_a_required_process_that_does_not_start_takes_the_release_back(app: Served) -> None:
    before, processes, answer = app.record(), running(app), app.answer()
    edit(
        app,
        "bad",
        {**PROCESSES, "worker": {"command": ["celery", "-A", "nowhere", "worker"], "required": True}},
    )
    with app.traffic() as load:
        receipt = app.ask("deploy", code=1)
        assert app.answer() == answer
    demand_no_loss(load)
    assert receipt["error"]["kind"] == "process"
    assert "The module nowhere was not found" in receipt["error"]["evidence"]
    assert app.record()["live"] == before["live"]
    after = running(app)
    # it never had to leave; of the scheduler, which runs alone, there is a new one
    assert after["worker"] == processes["worker"]
    assert after["clock"][0] == before["live"]
    release = receipt["generation"].rpartition(".")[0]
    states = {row["id"]: row["state"] for row in json.loads(app.segue("releases", TARGET, "--json").out)}
    assert states[release] == "bad"


def test_a_restart_is_taken_back_for_a_required_process_and_a_rollback_never_is(app: Served) -> None:
    """What a rollback leads away from may be worse than a worker that does not start."""
    needs = ["sh", "-c", f"test ! -e {DATA}/off && exec sleep 1000; echo switched off; exit 3"]
    for version in ("v6-1", "v6-2"):
        edit(app, version, {"needs": {"command": needs, "required": True, "steady": "1s"}})
        app.ask("deploy")
    before = app.record()
    app.host.run("touch", f"{DATA}/off")
    with app.traffic() as load:
        restarted = app.ask("restart", code=1)
        assert "switched off" in restarted["error"]["evidence"]
        assert app.record()["live"] == before["live"]
        back = app.ask("rollback")
    demand_no_loss(load)
    assert app.record()["live"] == back["generation"] != before["live"]
    assert any("needs" in note and "switched off" in note for note in back["notes"]), back["notes"]
    app.host.run("rm", f"{DATA}/off")
    until(lambda: all_run(app, back["generation"]), 60, "the process that needed the file")


def test_one_that_is_not_required_is_told_and_the_release_stays(app: Served) -> None:
    edit(
        app,
        "v8",
        {**PROCESSES, "mail": {"command": ["sh", "-c", "echo no mail server; exit 3"], "steady": "1s"}},
    )
    receipt = app.ask("deploy")
    assert receipt["ok"]
    assert any("mail" in note and "no mail server" in note for note in receipt["notes"]), receipt["notes"]
    shown = app.segue("status", TARGET).out
    assert "process   mail of" in shown
    assert "restarted" in shown
    edit(app, "v9")
    app.ask("deploy")
    assert "mail" not in running(app)


def test_its_log_is_the_apps(app: Served) -> None:
    assert "the scheduler ticks" in app.segue("logs", TARGET, "-n", "1000").out


def test_its_log_is_followed(app: Served) -> None:
    words = (SEGUE, "logs", TARGET, "--follow", "--lines=0")
    with app.host.start(*words, user="deploy", cwd=CHECKOUT) as follower:
        assert follower.stdout is not None
        until(
            lambda: "journalctl --unit" in app.host.run("ps", "-eo", "args").out, 60, "somebody who follows"
        )
        app.host.run("kill", str(running(app)["clock"][1]))
        assert any("the scheduler ticks" in line for line in follower.stdout)
        follower.terminate()


def test_it_is_killed_and_comes_back(app: Served) -> None:
    _, pid = running(app)["worker"]
    app.host.run("kill", "-9", str(pid))
    until(lambda: app.host.run("pgrep", "-f", "celery -A tasks", check=False).out.split()[:1] != [str(pid)])

    def back() -> bool:
        found = {one["name"]: one for one in app.ask("status")["processes"]}["worker"]
        return found["pid"] not in (0, pid) and found["restarts"] == 1

    until(back, 60, "the new worker")


def test_what_a_killed_executor_began_the_keeper_finishes(app: Served) -> None:
    before = app.record()["live"]
    edit(app, "v-killed")
    asker = app.start("deploy")

    def changing_over() -> bool:
        told = app.host.read(f"{STATE}/events.jsonl").splitlines()[-1]
        return '"processes"' in told and '"running"' in told

    until(changing_over, 120, "the processes' turn")
    app.host.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "segue-shop-deploy@*")
    asker.communicate(timeout=60)
    live = app.record()["live"]
    assert live != before
    until(lambda: all_run(app, live), 60, "the processes of the live generation alone")
    demand_one_clock_at_a_time(app.host)


def test_smoke_commands_decide_too(app: Served) -> None:
    before = app.record()["live"]
    see = "import os, urllib.request as r; print(os.environ['SEGUE_URL'], os.getcwd()); raise SystemExit(%d)"
    edit(app, "v10", smoke_commands=[["python", "-c", see % 4]])
    receipt = app.ask("deploy", code=1)
    assert receipt["error"]["kind"] == "verify"
    assert "http://shop.example /srv/shop/releases/" in receipt["error"]["evidence"]
    assert app.record()["live"] == before
    edit(app, "v11", smoke_commands=[["python", "-c", see % 0]])
    receipt = app.ask("deploy")
    assert "1 commands" in next(step["detail"] for step in receipt["steps"] if step["name"] == "verify")


def test_hooks_run_as_the_apps_user_in_its_sandbox(app: Served) -> None:
    tell = "id -un; pwd; echo $SEGUE_HOOK $SEGUE_GENERATION; touch mine || echo read-only"
    edit(app, "v12", hooks={"before_switch": [["sh", "-c", tell]], "on_failure": [["sh", "-c", tell]]})
    receipt = app.ask("deploy")
    (hook,) = receipt["hooks"]
    user, where, *rest = hook["printed"].splitlines()
    assert (user, where) == ("shop", f"/srv/shop/releases/{receipt['release']}")
    assert rest[0] == f"before_switch {receipt['generation']}"
    assert rest[-1] == "read-only"
    edit(app, "v13", hooks={"before_switch": ["false"], "on_failure": [["sh", "-c", tell]]})
    refused = app.ask("deploy", code=1)
    assert refused["error"]["kind"] == "hook"
    assert f"on_failure {receipt['generation']}" in refused["hooks"][-1]["printed"]
    assert app.record()["live"] == receipt["generation"]


def test_after_a_reboot_they_run_and_with_the_unit_they_stop(app: Served) -> None:
    live = app.record()["live"]
    app.host.reboot()
    until(lambda: all_run(app, live), 60, "the processes after the boot")
    app.host.run("systemctl", "stop", "segue-shop", timeout=90)
    assert {one["state"] for one in app.ask("status")["processes"]} == {"inactive"}
    app.host.run("systemctl", "start", "segue-shop", timeout=90)
    until(lambda: all_run(app, live), 60, "the processes after the start")
    demand_one_clock_at_a_time(app.host)
