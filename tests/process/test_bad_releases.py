"""Bad releases: each is refused while the old one serves on, and the reason is on screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.apps import make_app
from tests.support.bad import append, deploy_refused, state_of
from tests.support.site import Site, configure, demand_no_loss, serving, traffic

Edit = Callable[[Path], None]

FLASK = """
import flask

app = flask.Flask(__name__)

@app.get("/healthz")
def check():
    raise LookupError("the shelf is empty")
"""
RAISES = """
def app(environ, start_response):
    raise LookupError("the shelf is empty")
"""
HANGS_UNDER_GUNICORN = """
import sys
if "gunicorn.arbiter" in sys.modules:
    time.sleep(FOREVER)
"""
CONFIG_RAISES = """
import os

def cores():
    return os.environ["NO_SUCH_CORES"]

workers = cores()
"""


def app(**behaviour: Any) -> Edit:
    return lambda folder: make_app(folder, version="bad", **behaviour)


def code(text: str) -> Edit:
    return lambda folder: append(folder, text)


def file(name: str, text: str) -> Edit:
    def write(folder: Path) -> None:
        (folder / name).write_text(text)

    return write


def nothing(_folder: Path) -> None:
    """Only the config is bad."""


@dataclass(frozen=True)
class Bad:
    """A release that must be refused.

    Attributes:
        name: the case.
        edit: makes the project bad.
        kind: the error's.
        message: all of its sentence.
        evidence: what it must show.
        hint: a part of it.
        hidden: what its evidence must not show.
        settings: of segue.toml.
        state: in which the release is left.
    """

    name: str
    edit: Edit
    kind: str
    message: str
    evidence: tuple[str, ...]
    hint: str
    hidden: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    state: str = "bad"


MACHINERY = ("gunicorn/", "importlib", "segue/", "import_check.py", "segue_gate", "runpy")
WSGI = r"/wsgi.py"

FORGED = """
with open(os.path.join(os.environ["SEGUE_TASK_FOLDER"], "result.json"), "w") as file:
    file.write('{"kind": "ok", "interface": 7, "servers": "all"}')
os._exit(0)
"""
IMPORTS = [
    Bad(
        "no_module", nothing, "module", "There is no module 'nowhere'.",
        ("looking for nowhere:app", "the release has: behaviour.json, instance, segue.toml, wsgi.py"),
        "MODULE:ATTRIBUTE", MACHINERY, {"module": "nowhere:app"},
    ),
    Bad(
        "no_package", nothing, "module", "There is no module 'nowhere'.",
        ("looking for nowhere.wsgi:app",), "MODULE:ATTRIBUTE", MACHINERY, {"module": "nowhere.wsgi:app"},
    ),
    Bad(
        "no_attribute", app(missing_attribute=True), "attribute",
        "wsgi:app is no app: Failed to find attribute 'app' in 'wsgi'.",
        ("callable in wsgi: ", "healthz"), "after the colon", MACHINERY,
    ),
    Bad(
        "not_callable", app(not_callable=True), "not_callable",
        "wsgi:app is no app: Application object must be callable.",
        ("it is of type str",), "the app itself", MACHINERY,
    ),
    Bad(
        "import_error", app(import_error="ImportError"), "import",
        r"wsgi:app failed to import: ImportError: cannot import name 'lods' from 'json' \(.*\).",
        ("Traceback", WSGI, "from json import lods", "ImportError: "), "never saw a request",
        ("gunicorn", "importlib"),
    ),
    Bad(
        "missing_dependency", app(import_error="ModuleNotFoundError"), "missing",
        "wsgi:app failed to import: ModuleNotFoundError: No module named 'paymnets'.",
        ("Traceback", WSGI, "import paymnets"), "among the dependencies", ("gunicorn", "importlib"),
    ),
    Bad(
        "syntax_error", app(import_error="SyntaxError"), "import",
        r"wsgi:app failed to import: SyntaxError: invalid syntax \(wsgi.py, line \d+\).",
        (WSGI, "def app(:", "^"), "never saw a request", ("gunicorn", "importlib"),
    ),
    Bad(
        "sys_exit", code("import sys\nsys.exit('no database')"), "import",
        "wsgi:app failed to import: SystemExit: no database.",
        ("Traceback", WSGI, "sys.exit('no database')"), "never saw a request", ("gunicorn", "importlib"),
    ),
    Bad(
        "os_exit", code("print('goodbye', flush=True)\nos._exit(7)"), "import",
        "wsgi:app ended the interpreter that imported it, with status 7.", ("goodbye",), "os._exit()",
    ),
    Bad(
        "forged_result", code(FORGED), "import",
        "wsgi:app ended the interpreter that imported it, with status 0.", ("it printed nothing",),
        "os._exit()",
    ),
    Bad(
        "killed", code("os.kill(os.getpid(), 9)"), "import",
        "wsgi:app ended the interpreter that imported it, by SIGKILL.", ("it printed nothing",), "memory",
    ),
    Bad(
        "endless_import", app(import_hang=True), "import_timeout",
        "wsgi:app did not finish importing within 4.0 s.", ("most recent call first", WSGI), "ready_timeout",
        ("gunicorn", "importlib"), {"ready_timeout": "4s"},
    ),
]  # fmt: skip

CHECKS = [
    Bad(
        "404", app(check="404"), "check", "The check /healthz answered 404 Not Found.",
        ("GET /healthz", "Host: 127.0.0.1:", "scheme: http", "answer: 404 Not Found"), "set check",
    ),
    Bad(
        "redirect", app(check="redirect"), "check",
        r"The check /healthz answered with a redirect \(302 Found\).",
        ("Host: shop.example", "answer: 302 Found", "redirects to: https://secure.example/healthz"),
        "check_scheme", settings={"check_host": "shop.example"},
    ),
    Bad(
        "500", app(check="500"), "check", "The check /healthz answered 500 Internal Server Error.",
        ("answer: 500 Internal Server Error", "the end of its log:"), "never saw a user's request",
        settings={"ready_timeout": "8s"},
    ),
    Bad(
        "500_raised", code(RAISES), "check", r"The check /healthz answered 500 \(the app raised\).",
        ("Traceback", WSGI, "in app", "LookupError: the shelf is empty"), "never saw a user's request",
        MACHINERY[:1], {"ready_timeout": "8s"},
    ),
    Bad(
        "500_logged", code(FLASK), "check", "The check /healthz answered 500 INTERNAL SERVER ERROR.",
        ("Traceback", WSGI, "in check", "LookupError: the shelf is empty"), "never saw a user's request",
        settings={"ready_timeout": "8s"},
    ),
    Bad(
        "hangs", app(check="hang"), "check", "The check /healthz gave no answer in 0.5 s.",
        (WSGI, "in healthz", "time.sleep(FOREVER)"), "where it hangs", MACHINERY[:1],
        {"check_timeout": "500ms"},
    ),
    Bad(
        "hangs_in_thread", app(check="hang"), "check", "The check /healthz gave no answer in 0.5 s.",
        (WSGI, "in healthz", "time.sleep(FOREVER)"), "where it hangs", ("threading.py", *MACHINERY[:1]),
        {"check_timeout": "500ms", "threads": 4},
    ),
    Bad(
        "another_release", app(check="wrong_release"), "wrong_release",
        "The check /healthz was answered by another release, other.",
        ("answer: 200 OK", "answered as release: other"), "pass the check on",
    ),
    Bad(
        "hangs_at_boot", code(HANGS_UNDER_GUNICORN), "ready_timeout",
        r"\S+ was not ready within 4.0 s.", ("most recent call first", WSGI), "ready_timeout",
        settings={"ready_timeout": "4s"},
    ),
]  # fmt: skip

GUNICORN_CONFIGS = [
    Bad(
        "config_syntax", file("gunicorn.conf.py", "workers = = 2\n"), "gunicorn_config",
        "The release's gunicorn.conf.py failed.", ("gunicorn.conf.py", "workers = = 2", "SyntaxError"),
        "--check-config", ("segue_gate", "importlib"),
    ),
    Bad(
        "config_raises", file("gunicorn.conf.py", CONFIG_RAISES), "gunicorn_config",
        "The release's gunicorn.conf.py failed.", ("gunicorn.conf.py", "in cores", "KeyError: 'NO_SUCH"),
        "--check-config", ("segue_gate", "importlib"),
    ),
    Bad(
        "config_exits", file("gunicorn.conf.py", "raise SystemExit('not today')\n"), "gunicorn_config",
        "The release's gunicorn.conf.py failed.", ("gunicorn.conf.py", "SystemExit: not today"),
        "--check-config", ("segue_gate", "importlib"),
    ),
    Bad(
        "config_value", file("gunicorn.conf.py", "timeout = 'soon'\n"), "gunicorn_config",
        "Gunicorn refused the release's settings.", ("Invalid value for timeout: soon", "invalid literal"),
        "--check-config", ("segue_gate",),
    ),
    Bad(
        "config_hook", file("gunicorn.conf.py", "def post_fork(worker):\n    pass\n"), "gunicorn_config",
        "The release's gunicorn.conf.py failed.", ("Invalid value for post_fork", "arity of: 2"),
        "--check-config", ("segue_gate",),
    ),
    Bad(
        "hook_raises",
        file("gunicorn.conf.py", "def post_fork(server, worker):\n    raise LookupError('no fork')\n"),
        "boot", r"A worker of \S+ failed to start.",
        ("gunicorn.conf.py", "in post_fork", "LookupError: no fork"), "its whole log: ",
        ("segue_gate", "arbiter.py"),
    ),
]  # fmt: skip

BUILDS = [
    Bad(
        "no_package", file("requirements.txt", "--no-index\nno-such-package-of-segue==1.0\n"), "build",
        r"The release's dependencies could not be installed: .* failed.", ("no-such-package-of-segue",),
        "still serves", state="failed",
    ),
    Bad(
        "no_interpreter", nothing, "python", r"\S+/bin/nothing is no interpreter that can be run.",
        ('python = "bin/nothing"',), "interpreter that has Gunicorn",
        settings={"python": "bin/nothing"}, state="failed",
    ),
    Bad(
        "link_out", lambda folder: (folder / "secrets").symlink_to("/etc/passwd"), "link",
        "secrets is a link that leads out of the project.", ("-> /etc/passwd",), "shared", state="failed",
    ),
    Bad(
        "link_up", lambda folder: (folder / "above").symlink_to("../.."), "link",
        "above is a link that leads out of the project.", ("-> ../..",), "shared", state="failed",
    ),
]  # fmt: skip

CASES = [*IMPORTS, *CHECKS, *GUNICORN_CONFIGS, *BUILDS]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One keeper for all bad releases: each must leave it as it was."""
    folder = tmp_path_factory.mktemp("bad") / "project"
    good(folder)
    with serving(folder) as site:
        yield site


def good(folder: Path) -> None:
    make_app(folder, version="good")
    configure(folder)
    for name in ("gunicorn.conf.py", "requirements.txt", "secrets", "above"):
        (folder / name).unlink(missing_ok=True)


def append_to_config(folder: Path, text: str) -> None:
    with (folder / "segue.toml").open("a") as file:
        file.write(f"\n{text}")


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: f"{bad.kind}-{bad.name}")
def test_a_bad_release_is_refused(site: Site, bad: Bad) -> None:
    """It never serves, costs nothing, leaves nothing, and says why."""
    good(site.folder)
    configure(site.folder, **bad.settings)
    bad.edit(site.folder)
    refused = deploy_refused(site)
    error = refused.error
    assert error["kind"] == bad.kind
    assert re.fullmatch(bad.message, error["message"]), error["message"]
    for part in bad.evidence:
        assert part in error["evidence"]
    for part in bad.hidden:
        assert part not in error["evidence"].replace(refused.receipt["release"], "")
    assert bad.hint in error["hint"]
    assert state_of(site, refused.receipt) == bad.state
    if bad.state == "failed":
        assert not site.home.release(refused.receipt["release"]).exists()
        assert not site.home.generation(refused.receipt["generation"]).exists()


def test_a_worker_that_dies_after_go_costs_what_it_held(site: Site) -> None:
    """It is taken back, and the receipt counts at least what users lost."""
    good(site.folder)
    make_app(site.folder, version="bad", crash_on_first_request=True)
    refused = deploy_refused(site, lossless=False)
    held = refused.receipt["lost"]["held_by_crashed"]
    assert refused.error["kind"] == "crash"
    assert re.fullmatch(r"A worker of \S+ died, holding \d+ requests?\.", refused.error["message"])
    assert "exited with code 1" in refused.error["evidence"]
    assert held >= 1
    assert refused.load.lost <= held
    assert refused.receipt["traffic"]["failed"] == 0
    assert "was taken back" in site.segue("receipt", refused.receipt["generation"]).out
    assert state_of(site, refused.receipt) == "bad"


HOOKS = """
import os
import pathlib

bind = "127.0.0.1:1"
pidfile = "instance/gunicorn.pid"
daemon = True
workers = 1

def tell(name, file):
    release = pathlib.Path(__file__).parent
    folder = release.parent.parent / "generations" / os.environ["SEGUE_GENERATION"]
    with open(release / "instance" / "hooks.log", "a") as log:
        print(os.environ["SEGUE_GENERATION"], name, (folder / file).exists(), file=log)

def on_starting(server):
    tell("on_starting", "booted.json")

def when_ready(server):
    tell("when_ready", "booted.json")

def post_fork(server, worker):
    tell("post_fork", f"counters.{worker.pid}")

def post_worker_init(worker):
    tell("post_worker_init", f"counters.{worker.pid}")

def pre_request(worker, req):
    tell("pre_request", f"ready.{worker.pid}")

def post_request(worker, req, environ, resp):
    tell("post_request", f"ready.{worker.pid}")

def worker_exit(server, worker):
    tell("worker_exit", f"counters.{worker.pid}")

def child_exit(server, worker):
    tell("child_exit", f"counters.{worker.pid}")
"""
# whether the file that the gate's own hook makes (or takes away) was there when theirs ran
THEIRS_FIRST = {
    "on_starting": "False",
    "when_ready": "False",
    "post_fork": "False",
    "post_worker_init": "False",
    "pre_request": "True",
    "post_request": "True",
    "worker_exit": "True",
    "child_exit": "True",
}


def test_settings_that_are_segues_are_overruled_and_their_hooks_still_run(tmp_path: Path) -> None:
    """A gunicorn.conf.py with bind, pidfile and daemon deploys; the receipt says what was overruled."""
    folder = tmp_path / "project"
    good(folder)
    append_to_config(folder, '[processes]\nworker = "celery worker"\n')
    with serving(folder) as site:
        (folder / "gunicorn.conf.py").write_text(HOOKS)
        with traffic(f"{site.url}/") as load:
            receipt = site.deploy()
            for name, value in (
                ("bind", "'127.0.0.1:1'"),
                ("pidfile", "'instance/gunicorn.pid'"),
                ("daemon", "True"),
            ):
                note = f"the app's Gunicorn settings have {name} = {value}: overruled, {name} is segue's"
                assert note in receipt["notes"]
                assert note in site.segue("receipt").out
            assert "not started here: worker; [processes] run on servers only" in receipt["notes"]
            site.deploy()
        demand_no_loss(load)
        assert not (folder / "instance" / "gunicorn.pid").exists()
    lines = (folder / "instance" / "hooks.log").read_text().splitlines()
    seen = {tuple(line.split()[1:]) for line in lines if line.startswith(receipt["generation"])}
    assert seen == set(THEIRS_FIRST.items())
