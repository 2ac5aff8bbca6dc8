"""Gunicorn's config: the user's settings, those that segue was told, and hooks that bring in the gate."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import IO, Any

import gunicorn
from gunicorn import config as gunicorn_config

from . import files, gunicorn_wsgi
from .counting import Counters, account_for, counters
from .holding import Leave, pausing, wait_for_first

DEFAULT_WORKERS = 2

OWNED = (
    "bind", "reuse_port", "daemon", "pidfile", "control_socket", "chdir",
    "reload", "user", "group", "graceful_timeout", "asgi_lifespan",
)  # fmt: skip


def _user_settings(path: str | None) -> dict[str, Any]:
    """The settings in the user's own gunicorn.conf.py."""
    if path is None:
        return {}
    try:
        spec: Any = importlib.util.spec_from_file_location("gunicorn_conf", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is what people have to see
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != path:
            frames = frames.tb_next
        files.refuse("gunicorn_config", "".join(traceback.format_exception(type(error), error, frames)))
    known = gunicorn_config.make_settings()
    return {name: value for name, value in vars(module).items() if name in known}


def _argument_settings() -> dict[str, Any]:
    """What GUNICORN_CMD_ARGS, which the launcher put aside, and `server_args` set."""
    words = [*shlex.split(os.environ.pop("SEGUE_GUNICORN_CMD_ARGS", "")), *START["server_args"]]
    given = vars(gunicorn_config.Config().parser().parse_args(words))
    return {
        name: value for name, value in given.items() if value is not None and name not in ("args", "config")
    }


def _hook(name: str) -> Callable[..., Any]:
    """The user's own hook of that name, as Gunicorn would resolve and check it."""
    theirs = USER.get(name)
    if theirs is None:
        return lambda *_: None
    setting = gunicorn_config.make_settings()[name]
    try:
        setting.set(theirs)
    except Exception as error:  # noqa: BLE001 - Gunicorn's validators raise anything
        files.refuse("gunicorn_config", f"Invalid value for {name}: {error}")
    hook: Callable[..., Any] = setting.get()
    return hook


def _settings() -> dict[str, Any]:
    """The user's settings, and over them what segue was told."""
    chosen = {name: value for name, value in USER.items() if name not in OWNED}
    if "workers" not in chosen and "WEB_CONCURRENCY" not in os.environ:
        chosen["workers"] = DEFAULT_WORKERS
    chosen.update(START["settings"])
    if START["interface"] == "asgi":
        chosen.setdefault("worker_class", "asgi")
    return chosen


def when_ready(server: Any) -> None:
    """In the master, before its first worker: tell the keeper what it settled on."""
    THEIRS["when_ready"](server)
    faulthandler.cancel_dump_traceback_later()
    booted = {name: getattr(server.cfg, name) for name in ("workers", "threads", "preload_app")}
    booted["worker_class"] = server.cfg.worker_class_str
    overruled = {name: repr(USER[name]) for name in OWNED if name in USER}
    version = {"server": "gunicorn", "version": gunicorn.__version__}
    files.write("booted.json", {**booted, **version, "overruled": overruled})


def post_fork(server: Any, worker: Any) -> None:
    """In a worker, before it imports the app."""
    # Gunicorn installs the worker's own handlers only later; until then the master's would swallow TERM
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if _told_at_its_fork(server.SIG_QUEUE):
        sys.exit(0)
    THEIRS["post_fork"](server, worker)
    with _leaving_if_told():
        TURN.append(wait_for_first(pausing(worker.ppid, lambda: worker.notify() or True)))
    faulthandler.dump_traceback_later(files.time_left())


def _told_at_its_fork(queue: Any) -> bool:
    """Whether TERM came before that, and so lies in this worker's copy of its master's queue.

    The master sends it once. Older Gunicorns have a list for a queue.
    """
    told = queue if isinstance(queue, list) else [queue.get_nowait() for _ in range(queue.qsize())]
    return signal.SIGTERM in told


def post_worker_init(worker: Any) -> None:
    """In a worker that has imported the app: check it, hold it, let it go."""
    THEIRS["post_worker_init"](worker)
    faulthandler.cancel_dump_traceback_later()
    COUNTERS.append(counters(worker.cfg.threads))
    with _leaving_if_told():
        _serve_behind_gate(worker, COUNTERS[0], TURN[0])


def _serve_behind_gate(worker: Any, counted: Counters, turn: IO[str] | None) -> None:
    modules = {base.__module__ for base in type(worker).__mro__}
    if "gunicorn.workers.gasgi" in modules:
        from . import gunicorn_asgi  # noqa: PLC0415 - asyncio costs a WSGI app's boot what it never needs

        gunicorn_asgi.open_gate(worker, counted, turn)
    elif "uvicorn_worker._workers" in modules:
        from . import uvicorn_server  # noqa: PLC0415 - see above

        # the hold is there, whatever a class of the user's own says
        worker.config.lifespan = "on"
        worker.wsgi = uvicorn_server.behind_gate(worker.wsgi, counted, turn, worker.ppid, worker.notify)
    else:
        if START["wrap"]:
            COUNTING.append(gunicorn_wsgi.Counting(counted))
        gunicorn_wsgi.open_gate(worker, counted, turn)


@contextlib.contextmanager
def _leaving_if_told() -> Iterator[None]:
    try:
        yield
    except Leave:
        # Gunicorn's "worker failed to boot": the master halts instead of starting another
        sys.exit(3)


def pre_request(worker: Any, req: Any) -> None:
    """Count a request in."""
    refused = True
    try:
        THEIRS["pre_request"](worker, req)
        refused = False
    finally:
        if COUNTING:
            COUNTING[0].begin(refused=refused)


def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> None:
    """Count a request out."""
    try:
        THEIRS["post_request"](worker, req, environ, resp)
    finally:
        if COUNTING:
            COUNTING[0].end(resp)


def worker_exit(server: Any, worker: Any) -> None:
    """In a worker that leaves."""
    try:
        THEIRS["worker_exit"](server, worker)
    finally:
        for counted in COUNTERS:
            counted.goodbye()


def child_exit(server: Any, worker: Any) -> None:
    """In the master, after the end of a worker: account for it. An error here would end the master.

    It would do so in the middle of a drain too, and leave the other workers without one.
    """
    try:
        THEIRS["child_exit"](server, worker)
    except Exception:
        server.log.exception("Exception in child_exit hook")
    with contextlib.suppress(OSError):
        if files.take(f"surplus.{worker.pid}"):
            server.num_workers -= 1
        account_for(worker.pid, aborted=worker.aborted)


HOOKS = (
    "when_ready", "post_fork", "post_worker_init", "pre_request", "post_request", "worker_exit", "child_exit",
)  # fmt: skip
TURN: list[IO[str] | None] = []
COUNTERS: list[Counters] = []
COUNTING: list[gunicorn_wsgi.Counting] = []
START = files.start()
faulthandler.dump_traceback_later(files.time_left())
USER = {**_user_settings(START["user_config"]), **_argument_settings()}
THEIRS = {name: _hook(name) for name in HOOKS}
globals().update({name: value for name, value in _settings().items() if name not in HOOKS})
control_socket_disable = True
