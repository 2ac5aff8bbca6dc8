"""The gate, under real Gunicorn: it holds, it counts, and it changes nothing that the app was given."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.masters import RELEASE, Bench, bench
from tests.support.site import Site, configure, serving, until

from segue.core.ids import release_of
from segue.disk.processes import process
from segue.run.counters import Counts
from segue.run.generation import Generation

ONE = f"{RELEASE}.1"
MIRROR = Path(__file__).parent.parent / "apps" / "mirror.py"
MODES: dict[str, dict[str, Any]] = {
    "sync": {"threads": 1},
    "gthread": {"threads": 4},
    "sync-preload": {"threads": 1, "preload": True},
    "gthread-preload": {"threads": 4, "preload": True},
}
HOOKS = """
import os
import sys

def log(name, cfg, *files):
    folder = sys.modules["segue_gate.files"].FOLDER
    first = not any(os.path.exists(os.path.join(folder, file)) for file in files)
    with open(os.path.join(os.environ["MIRROR"], "hooks"), "a") as file:
        file.write(f"{name} {'first' if first else 'late'}\\n")

def on_starting(server): log("on_starting", server.cfg, "booted.json")
def when_ready(server): log("when_ready", server.cfg, "booted.json")
def pre_fork(server, worker): log("pre_fork", server.cfg)
def post_fork(server, worker): log("post_fork", server.cfg, f"counters.{worker.pid}")
def post_worker_init(worker): log("post_worker_init", worker.cfg, f"ready.{worker.pid}")
def pre_request(worker, req): log("pre_request", worker.cfg)
def post_request(worker, req, environ, resp): log("post_request", worker.cfg)
def worker_exit(server, worker): log("worker_exit", server.cfg)
def child_exit(server, worker): log("child_exit", server.cfg, f"crashed.{worker.pid}")
def nworkers_changed(server, new, old): log("nworkers_changed", server.cfg)
def on_reload(server): log("on_reload", server.cfg)
def on_exit(server): log("on_exit", server.cfg)
"""


# TERM for the next worker, at the very fork or in the middle of the user's hook
TELLS_NEXT = """
import os
import pathlib
import signal

FILE = pathlib.Path(os.environ["MIRROR"], "next")

def tell():
    if FILE.exists():
        FILE.rename(f"{FILE}.{os.getpid()}")
        os.kill(os.getpid(), signal.SIGTERM)

def post_fork(server, worker):
    pass

"""
AT_THE_FORK = f"{TELLS_NEXT}os.register_at_fork(after_in_child=tell)\n"
IN_THE_HOOK = TELLS_NEXT.replace("    pass\n", "    tell()\n")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def seen(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


def get(address: object, path: str = "/") -> Answer:
    """One answer, on a connection of its own."""
    connection = http.client.HTTPConnection(str(address), timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read())
    finally:
        connection.close()


def get_kept_alive(address: object, path: str, number: int) -> None:
    """That many answers, on one connection wherever the server keeps it open."""
    connection = http.client.HTTPConnection(str(address), timeout=20)
    for _ in range(number):
        connection.request("GET", path)
        connection.getresponse().read()
    connection.close()


def lines(folder: Path, name: str) -> list[str]:
    path = folder / name
    return path.read_text().splitlines() if path.exists() else []


def settled_counts(generation: Generation) -> Counts:
    """Its counts, once it is done with what was answered before."""
    until(lambda: generation.counts().started == generation.counts().finished, what="an idle moment")
    return generation.counts()


def make_mirror(folder: Path, config: str = "") -> None:
    folder.mkdir(exist_ok=True)
    shutil.copyfile(MIRROR, folder / "wsgi.py")
    (folder / "gunicorn.conf.py").write_text(config)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    return MODES[request.param]


# under the keeper


@pytest.mark.parametrize("config", [AT_THE_FORK, IN_THE_HOOK], ids=["at the fork", "in the hook"])
def test_a_worker_hears_term_from_its_first_moment(tmp_path: Path, config: str) -> None:
    """Its master sends it once, and waits for it until the end of the drain."""
    folder = tmp_path / "project"
    make_mirror(folder, config)
    (folder / ".venv").symlink_to(sys.prefix)
    configure(folder, workers=2)
    with serving(folder, env={**os.environ, "MIRROR": str(tmp_path)}) as site:
        (tmp_path / "next").touch()
        os.kill(site.live().ready_workers()[0], signal.SIGKILL)
        told = until(lambda: next(tmp_path.glob("next.*"), None), what="the next worker")
        until(lambda: process(int(told.suffix[1:])) is None, what="its end")
        until(lambda: len(site.live().ready_workers()) == 2, what="the one after it")


@pytest.fixture(scope="module", params=["sync", "gthread-preload"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("gate") / "project"
    make_mirror(folder, "raw_env = ['FROM_CONFIG=1']\n")
    (folder / ".venv").symlink_to(sys.prefix)
    configure(folder, workers=2, **MODES[request.param])
    env = {"PWD": str(folder), "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": f"{folder}/lib", "API_KEY": "s3cret"}
    with serving(folder, env={**os.environ, "MIRROR": str(folder.parent), **env}) as site:
        yield site


def test_every_answer_names_release_and_generation(site: Site) -> None:
    live = site.live().name
    for path in ("/", "/error", "/file"):
        answer = get(site.bind, path)
        assert answer.headers["X-Segue-Release"] == release_of(live)
        assert answer.headers["X-Segue-Generation"] == live


def test_who_knows_the_query_is_told_how_the_app_was_asked(site: Site) -> None:
    live = site.live()
    told = get(site.bind, f"/?{live.start()['seen']}")
    assert (told.status, told.headers["X-Segue-Generation"]) == (204, live.name)
    assert told.headers["X-Segue-Seen"] == f"http://{site.bind} from 127.0.0.1"
    assert "X-Segue-Seen" not in get(site.bind, "/?seen").headers


def test_a_file_is_left_to_sendfile(site: Site) -> None:
    answer = get(site.bind, "/file")
    assert (answer.status, answer.body) == (200, MIRROR.read_bytes())


def test_the_app_runs_in_its_releases_real_folder_by_its_releases_interpreter(site: Site) -> None:
    seen = get(site.bind).seen
    release = site.home.release(release_of(site.live().name)).resolve()
    assert seen["folder"] == str(release)
    assert seen["file"] == str(release / "wsgi.py")
    assert seen["python"] == str(site.folder / ".venv" / "bin" / "python")


def test_nothing_leads_back_to_the_live_tree(site: Site) -> None:
    seen = get(site.bind).seen
    assert not {"PWD", "OLDPWD", "VIRTUAL_ENV", "LISTEN_PID"} & seen["environ"].keys()
    release = site.home.release(release_of(site.live().name))
    assert seen["environ"]["PYTHONPATH"] == f"{release}/lib"
    gate = site.live().folder / "gate"
    live_tree = [
        entry for entry in map(Path, seen["path"]) if entry.is_relative_to(site.folder) and entry != gate
    ]
    assert all(entry.is_relative_to(release) or ".venv" in entry.parts for entry in live_tree)


def test_the_environment_comes_along_and_is_not_written_down(site: Site) -> None:
    environ = get(site.bind).seen["environ"]
    assert (environ["API_KEY"], environ["FROM_CONFIG"]) == ("s3cret", "1")
    for path in site.home.root.rglob("*"):
        assert path.is_symlink() or not path.is_file() or b"s3cret" not in path.read_bytes(), path


def test_a_generation_is_a_session_of_its_own_with_a_log_of_its_own(site: Site) -> None:
    live, seen = site.live(), get(site.bind, "/print").seen
    master = live.master()
    assert master is not None
    assert seen["session"] == seen["parent"] == master.pid
    assert "printed by the app" in live.log.read_text()
    assert "printed by the app" not in site.keeper_log()
    for stream in (1, 2):
        assert os.readlink(f"/proc/{master.pid}/fd/{stream}") == str(live.log)


def test_there_is_no_control_socket(site: Site) -> None:
    master = site.live().master()
    assert master is not None
    links = [os.readlink(link) for link in Path(f"/proc/{master.pid}/fd").iterdir()]
    held = {link for link in links if link.startswith("socket:")}
    unix = Path("/proc/net/unix").read_text().splitlines()
    assert not [line for line in unix if f"socket:[{line.split()[6]}]" in held and "/" in line]


def test_every_request_is_counted_once_and_every_error(site: Site) -> None:
    live = site.live()
    before, crashes = settled_counts(live), live.crashes()
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(get_kept_alive, site.bind, path, 20) for path in ("/", "/error", "/raise") * 4]
    assert all(call.exception() is None for call in done)
    until(lambda: (live.counts() - before).finished >= 240, what="the last count")
    counts = live.counts() - before
    assert (counts.started, counts.finished, counts.errors, sum(counts.latency)) == (240, 240, 160, 240)
    assert live.crashes() == crashes


def test_an_answer_that_breaks_off_is_an_error(site: Site) -> None:
    live = site.live()
    before = settled_counts(live)
    with pytest.raises(http.client.HTTPException):
        get(site.bind, "/breaks")
    until(lambda: (live.counts() - before).finished, what="its count")
    assert (live.counts() - before).errors == 1


def test_a_worker_that_replaces_another_passes_at_once_and_what_the_killed_one_held_is_told(
    site: Site,
) -> None:
    live = site.live()
    before, ready = settled_counts(live), set(live.ready_workers())
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(get, site.bind, "/slow")
        until(lambda: live.counts().started - before.started == 1, what="the slow request")
        for pid in ready:
            os.kill(pid, signal.SIGKILL)
        assert isinstance(lost.exception(), OSError | http.client.HTTPException)
    assert get(site.bind).status == 200
    until(lambda: len(set(live.ready_workers()) - ready) == 2, what="two new workers")
    assert sorted(crash["held"] for crash in live.crashes()) == [0, 1]
    assert get(site.bind).headers["X-Segue-Generation"] == live.name


def test_a_hup_from_an_old_habit_serves_the_same_release(site: Site) -> None:
    live = site.live()
    master, before = live.master(), set(live.ready_workers())
    assert master is not None
    master.signal(signal.SIGHUP)

    def replaced() -> bool:
        answer = get(site.bind)
        assert (answer.status, answer.headers["X-Segue-Generation"]) == (200, live.name)
        return len(set(live.ready_workers()) - before) == 2 and answer.seen["pid"] not in before

    until(replaced, what="new workers")
    assert site.live().name == live.name
    assert master.alive()


# without a keeper, because the keeper lets go as soon as it can


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_mirror(tmp_path / "project")
    return tmp_path / "project"


def mirror(project: Path, **environ: str) -> Any:
    return bench(project, MIRROR=str(project.parent), **environ)


def test_no_worker_answers_before_it_is_told_to_go(project: Path, mode: dict[str, Any]) -> None:
    with mirror(project) as made, socket.socket() as early:
        generation = made.prepare(ONE, workers=2, **mode)
        made.start(generation)
        early.connect((made.address.host, made.address.port))
        early.sendall(b"GET / HTTP/1.0\r\n\r\n")
        early.settimeout(0.3)
        with pytest.raises(TimeoutError):
            early.recv(1)
        assert generation.counts().started == 0
        early.settimeout(10)
        made.processes.go(ONE)
        assert early.recv(12) == b"HTTP/1.0 200"


def test_the_first_worker_imports_alone_and_then_the_rest(project: Path, mode: dict[str, Any]) -> None:
    with mirror(project) as made:
        generation = made.prepare(ONE, workers=3, **mode)
        made.start(generation)
        assert len(generation.ready_workers()) == 3
    imports = [line.split() for line in lines(project.parent, "imports")]
    assert [word for _, word in imports[:2]] == ["begins", "ends"]
    assert len(imports) == (2 if mode.get("preload") else 6)


def test_all_hooks_of_the_users_run_and_theirs_come_first(project: Path) -> None:
    make_mirror(project, HOOKS)
    with mirror(project) as made:
        generation = made.prepare(ONE, workers=1)
        made.serve(generation)
        assert get(made.address).status == 200
        made.master(ONE).signal(signal.SIGHUP)
        until(lambda: lines(project.parent, "hooks").count("child_exit first") == 1, what="its reload")
        made.master(ONE).signal(signal.SIGTERM)
        until(lambda: not made.processes.observe(), what="its end")
        assert generation.crashes() == []
    hooks = re.findall(r"def (\w+)", HOOKS.partition("\ndef on_starting")[2])
    assert set(lines(project.parent, "hooks")) == {f"{name} first" for name in ("on_starting", *hooks)}


def test_a_hook_that_raises_costs_no_count_and_is_no_crash(project: Path) -> None:
    make_mirror(project, "max_requests = 5\ndef worker_exit(server, worker): raise ValueError('theirs')\n")
    with mirror(project) as made:
        generation = made.prepare(ONE, workers=1)
        made.serve(generation)
        for _ in range(12):
            assert get(made.address).status == 200
        assert generation.counts().started == 12
        assert generation.crashes() == []


def test_recycled_workers_are_counted_and_are_no_crashes(project: Path, mode: dict[str, Any]) -> None:
    make_mirror(project, "max_requests = 10\n")
    with mirror(project) as made:
        generation = made.prepare(ONE, workers=2, **mode)
        made.serve(generation)
        pids = {get(made.address).seen["pid"] for _ in range(60)}
        # while an ended worker's counts are folded in, a reader can meet them twice for an instant
        until(lambda: generation.counts().finished == generation.counts().started == 60, what="60 counted")
        assert len(pids) > 2
        assert generation.crashes() == []


def test_a_worker_that_is_killed_before_it_is_ready_does_not_break_its_master(project: Path) -> None:
    (project / "wsgi.py").write_text("import time\ndef app(environ, start_response):\n    time.sleep(60)\n")
    with mirror(project) as made:
        generation = made.prepare(ONE, workers=1, check_timeout="30s")
        asyncio.run(made.processes.spawn(ONE))
        until(lambda: list(generation.folder.glob("counters.*")), what="its check")
        (counters,) = generation.folder.glob("counters.*")
        os.kill(int(counters.suffix[1:]), signal.SIGKILL)
        until(lambda: not counters.exists(), what="its crash")
        asyncio.run(made.processes.discard(ONE))
        assert len(generation.crashes()) == 1
        assert "FileNotFoundError" not in generation.log.read_text()


SETTINGS: list[tuple[str, dict[str, Any], dict[str, str], dict[str, Any]]] = [
    ("", {}, {}, {"workers": 2, "threads": 1, "worker_class": "sync"}),
    ("", {}, {"WEB_CONCURRENCY": "3"}, {"workers": 3}),
    ("workers = 4", {}, {"WEB_CONCURRENCY": "3"}, {"workers": 4}),
    ("workers = 4", {"workers": 1}, {"WEB_CONCURRENCY": "3"}, {"workers": 1}),
    ("threads = 3", {}, {}, {"threads": 3, "worker_class": "gthread"}),
    ("threads = 3", {"threads": 1}, {}, {"threads": 1, "worker_class": "sync"}),
    ("worker_class = 'gthread'", {"worker_class": "sync"}, {}, {"worker_class": "sync"}),
    ("preload_app = True", {}, {}, {"preload_app": True}),
    ("preload_app = True", {"preload": False}, {}, {"preload_app": False}),
]


@pytest.mark.parametrize(("theirs", "ours", "environ", "wanted"), SETTINGS)
def test_segue_toml_beats_gunicorn_conf_which_beats_the_defaults(
    project: Path, theirs: str, ours: dict[str, Any], environ: dict[str, str], wanted: dict[str, Any]
) -> None:
    make_mirror(project, theirs + "\n")
    with mirror(project, **environ) as made:
        booted = booted_of(made, ours)
    assert {name: booted[name] for name in wanted} == wanted
    assert booted["overruled"] == {}


def booted_of(made: Bench, ours: dict[str, Any]) -> dict[str, Any]:
    generation: Generation = made.prepare(ONE, **ours)
    asyncio.run(made.processes.spawn(ONE))
    booted: dict[str, Any] = until(generation.booted, what="its settings")
    return booted


def test_what_segue_owns_is_overruled_and_said_so(project: Path) -> None:
    owned = {
        "bind": "0.0.0.0:1", "reuse_port": True, "daemon": True, "pidfile": str(project / "pid"),
        "chdir": "/", "reload": True, "user": "nobody", "group": "nogroup", "graceful_timeout": 1,
    }  # fmt: skip
    make_mirror(project, "".join(f"{name} = {value!r}\n" for name, value in owned.items()))
    with mirror(project) as made:
        booted = booted_of(made, {"workers": 1})
        assert booted["overruled"] == {name: repr(value) for name, value in owned.items()}
        made.serve(made.processes.generation(ONE))
        seen = get(made.address).seen
    assert seen["folder"] == str(project)
    assert not (project / "pid").exists()
