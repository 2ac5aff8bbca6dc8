"""The gate: a Gunicorn config file that holds every worker back from accepting until it is told to go.

It is copied into the folder of each generation and runs in the app's interpreter (Python 3.10 or newer),
so it imports nothing but the standard library and Gunicorn itself. Its protocol is files in that folder,
because files stay when the keeper dies:

``start.json``   what to start, written before the start
``booted.json``  the master has read its config: how many workers there will be, what was overruled
``check.PID``    what the last check in worker PID was answered
``ready.PID``    worker PID has imported the app, its check passed, and it waits
``go``           a state, not a message: who finds it may accept, today or after a respawn
``no``           leave: this generation will never serve
``counters.PID`` what worker PID has served, shared memory
``crashed.PID``  worker PID died without saying goodbye, and how many requests it held
"""

from __future__ import annotations

import array
import contextlib
import faulthandler
import importlib.util
import io
import itertools
import json
import mmap
import os
import shlex
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import gunicorn
from gunicorn import config as gunicorn_config

FOLDER = os.path.dirname(os.path.abspath(__file__))
POLL = 0.02
DEFAULT_WORKERS = 2
SERVER_ERROR = 500

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]

# One slot of 64-bit cells per thread, so that no two threads ever write the same cell.
STARTED, FINISHED, ERRORS, GOODBYE, LATENCY = range(5)
BUCKETS = 32
CELLS = LATENCY + BUCKETS

OWNED = (
    "bind", "reuse_port", "daemon", "pidfile", "control_socket", "chdir",
    "reload", "user", "group", "graceful_timeout",
)  # fmt: skip


def _read(name: str) -> Any:
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return json.load(file)


def _write(name: str, document: Any) -> None:
    temporary = os.path.join(FOLDER, f".{name}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(document, file)
    os.rename(temporary, os.path.join(FOLDER, name))


def _there(name: str) -> bool:
    return os.path.exists(os.path.join(FOLDER, name))


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
        _refuse("".join(traceback.format_exception(type(error), error, frames)))
    known = gunicorn_config.make_settings()
    return {name: value for name, value in vars(module).items() if name in known}


def _environment_settings() -> dict[str, Any]:
    """What GUNICORN_CMD_ARGS sets: the launcher put it aside, so that it can't set what segue owns."""
    words = shlex.split(os.environ.pop("SEGUE_GUNICORN_CMD_ARGS", ""))
    given = vars(gunicorn_config.Config().parser().parse_args(words))
    return {
        name: value for name, value in given.items() if value is not None and name not in ("args", "config")
    }


def _refuse(evidence: str) -> NoReturn:
    _write("refused.json", {"kind": "gunicorn_config", "evidence": evidence})
    sys.exit(1)


class Counters:
    """What one worker has served; other processes read it while it counts."""

    def __init__(self, path: str, slots: int) -> None:
        self.cells = memoryview(_shared_memory(path, 8 * CELLS * slots)).cast("Q")
        self._next_slot = itertools.count()
        self._last_slot = slots - 1
        self._thread = threading.local()

    def _slot(self) -> int:
        try:
            slot: int = self._thread.slot
        except AttributeError:
            slot = self._thread.slot = CELLS * min(next(self._next_slot), self._last_slot)
        return slot

    def begin(self) -> None:
        """A request has reached the app."""
        self.cells[self._slot() + STARTED] += 1
        self._thread.since = time.perf_counter_ns()

    def end(self, *, failed: bool) -> None:
        """The app is done with it."""
        slot = self._slot()
        microseconds = (time.perf_counter_ns() - self._thread.since) // 1000
        self.cells[slot + FINISHED] += 1
        self.cells[slot + LATENCY + min(microseconds.bit_length(), BUCKETS - 1)] += 1
        if failed:
            self.cells[slot + ERRORS] += 1

    def goodbye(self) -> None:
        """This worker leaves in order: what it held, it finished."""
        self.cells[GOODBYE] = 1


def _shared_memory(path: str, size: int) -> mmap.mmap:
    """Memory that other processes can read; where the disk is full, memory that nobody reads.

    The room is taken at once: a page that can't be had later would kill the worker with SIGBUS.
    """
    with contextlib.suppress(OSError), open(path, "w+b") as file:
        os.posix_fallocate(file.fileno(), 0, size)
        return mmap.mmap(file.fileno(), size)
    return mmap.mmap(-1, size)


def totals(path: str) -> list[int]:
    """The sums over all slots of the counters in `path`: one list of `CELLS` numbers."""
    with open(path, "rb") as file:
        cells = array.array("Q", file.read())
    return [sum(cells[cell::CELLS]) for cell in range(CELLS)]


def _fold(path: str, sums: list[int]) -> None:
    """Add the counters of an ended worker to those of all that ended before it."""
    ended = os.path.join(FOLDER, "counters.ended")
    if os.path.exists(ended):
        sums = [one + other for one, other in zip(sums, totals(ended), strict=True)]
    with open(ended + ".new", "wb") as file:
        array.array("Q", sums).tofile(file)
    os.rename(ended + ".new", ended)
    os.unlink(path)


def wrap(app: Application, release: str, generation: str) -> Application:
    """`app` with the release header; its iterable is returned as it is, so that sendfile stays."""
    ours = [("X-Segue-Release", release), ("X-Segue-Generation", generation)]

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, *ours], exc_info)

        return app(environ, start)

    return answer


def _environ(check: dict[str, Any]) -> dict[str, Any]:
    host, _, port = check["host"].rpartition(":") if ":" in check["host"] else (check["host"], "", "80")
    path, _, query = check["path"].partition("?")
    return {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
        "RAW_URI": check["path"], "SERVER_NAME": host, "SERVER_PORT": port, "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": check["host"], "HTTP_USER_AGENT": "segue-check",
        "wsgi.version": (1, 0), "wsgi.url_scheme": check["scheme"], "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr, "wsgi.multithread": False, "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }  # fmt: skip


def ask(app: Application, check: dict[str, Any]) -> dict[str, Any]:
    """Ask `app` the check's question; what it answered, as plain data."""
    answer = {"path": check["path"], "host": check["host"], "scheme": check["scheme"], "at": time.time()}
    seen: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        del exc_info
        seen[:] = [status, {name.lower(): value for name, value in headers}]
        return seen.append

    try:
        body = app(_environ(check), start_response)
        try:
            for _ in itertools.islice(body, 1000):
                pass
        finally:
            if hasattr(body, "close"):
                body.close()
        status, headers = seen[:2]
    except Exception as error:  # noqa: BLE001 - an app may raise anything: that is its answer
        frames = error.__traceback__ and (error.__traceback__.tb_next or error.__traceback__)
        text = "".join(traceback.format_exception(type(error), error, frames))
        return {**answer, "status": "500 (the app raised)", "traceback": text}
    return {
        **answer,
        "status": status,
        "location": headers.get("location"),
        "release": headers.get("x-segue-release"),
    }


def healthy(answer: dict[str, Any], release: str) -> bool:
    """Whether `answer` is a success of `release` and nobody else's."""
    return answer["status"][:1] == "2" and answer.get("release") in (None, release)


def settled(answer: dict[str, Any], release: str) -> bool:
    """Whether asking again could not change an unhealthy answer: a redirect, 4xx, or another release."""
    return answer["status"][:3] not in ("408", "425", "429") and (
        answer["status"][:1] in "34" or answer.get("release") not in (None, release)
    )


def _stuck(worker: Any, asked: int, timeout: float) -> None:
    """Say where the check hangs, from a thread, because the check's own can't."""
    frame = sys._current_frames().get(asked)  # noqa: SLF001 - there is no other way to see a thread's stack
    stack = traceback.extract_stack(frame) if frame is not None else []
    ours = max((at for at, summary in enumerate(stack) if summary.filename == __file__), default=-1)
    text = "".join(traceback.format_list(stack[ours + 1 :]))
    check = START["check"]
    answer = {"path": check["path"], "host": check["host"], "scheme": check["scheme"], "at": time.time()}
    status = f"no answer in {timeout:g} s"
    _write(f"check.{worker.pid}", {**answer, "status": status, "traceback": text, "settled": True})


def _ask_in_worker(worker: Any) -> dict[str, Any]:
    """Ask where the worker serves: in its main thread, or in a thread of its pool."""

    def timed() -> dict[str, Any]:
        watchdog = threading.Timer(
            check["timeout"], _stuck, (worker, threading.get_ident(), check["timeout"])
        )
        watchdog.daemon = True
        watchdog.start()
        try:
            return ask(worker.wsgi, check)
        finally:
            watchdog.cancel()

    check = START["check"]
    pool = getattr(worker, "tpool", None)
    if pool is None:
        return timed()
    future = pool.submit(timed)
    while not future.done():
        _leave_if_told(worker)
        time.sleep(POLL)
    answer: dict[str, Any] = future.result()
    return answer


def _leave_if_told(worker: Any) -> None:
    worker.notify()
    if _there("no") or not worker.alive or os.getppid() != worker.ppid:
        # 3 is Gunicorn's "worker failed to boot": the master halts instead of starting another
        sys.exit(3)


def _pass_check(worker: Any) -> dict[str, Any]:
    release = START["release"]
    while True:
        answer = _ask_in_worker(worker)
        if healthy(answer, release):
            # an earlier bad answer is history, and must not be blamed for what goes wrong later
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(FOLDER, f"check.{worker.pid}"))
            return answer
        _write(f"check.{worker.pid}", {**answer, "settled": settled(answer, release)})
        pause = time.monotonic() + START["check"]["interval"]
        while time.monotonic() < pause:
            _leave_if_told(worker)
            time.sleep(POLL)


def _wait_for_first(worker: Any) -> None:
    """Hold all but the first worker until it is ready: a bad release costs one import, not N."""
    while worker.age > 1 and not _there("go") and not _there("first"):
        _leave_if_told(worker)
        time.sleep(POLL)


def _hold(worker: Any) -> None:
    """Come back when this worker may accept."""
    if _there("go"):
        # a worker of the live generation: a full disk must not keep it from serving
        with contextlib.suppress(OSError):
            _write(f"ready.{worker.pid}", {})
        return
    _write(f"ready.{worker.pid}", _pass_check(worker))
    if not _there("first"):
        _write("first", worker.pid)
    while not _there("go"):
        _leave_if_told(worker)
        time.sleep(POLL)


# What Gunicorn reads of this file: the user's settings, those that segue was told, and these hooks.


def _hook(name: str) -> Callable[..., Any]:
    """The user's own hook of that name, as Gunicorn would resolve and check it."""
    theirs = USER.get(name)
    if theirs is None:
        return lambda *_: None
    setting = gunicorn_config.make_settings()[name]
    try:
        setting.set(theirs)
    except Exception as error:  # noqa: BLE001 - Gunicorn's validators raise anything
        _refuse(f"Invalid value for {name}: {error}")
    hook: Callable[..., Any] = setting.get()
    return hook


def _overruled() -> dict[str, str]:
    """What the user asked for and segue decides."""
    return {name: repr(USER[name]) for name in OWNED if name in USER}


def _settings() -> dict[str, Any]:
    """The user's settings, and over them what segue was told."""
    chosen = {name: value for name, value in USER.items() if name not in OWNED}
    if "workers" not in chosen and "WEB_CONCURRENCY" not in os.environ:
        chosen["workers"] = DEFAULT_WORKERS
    chosen.update(START["settings"])
    return chosen


def _time_left() -> float:
    """The seconds until the keeper gives up; one that comes later, where all serve, has the whole time."""
    limit = float(START["ready_timeout"])
    if _there("go"):
        return limit
    began = float(_read("master.json")["started"]) / os.sysconf("SC_CLK_TCK")
    return max(POLL, limit + began - time.clock_gettime(time.CLOCK_BOOTTIME))


def when_ready(server: Any) -> None:
    """In the master, before its first worker: tell the keeper what it settled on."""
    THEIRS["when_ready"](server)
    faulthandler.cancel_dump_traceback_later()
    booted = {name: getattr(server.cfg, name) for name in ("workers", "threads", "preload_app")}
    booted["worker_class"] = server.cfg.worker_class_str
    _write("booted.json", {**booted, "gunicorn": gunicorn.__version__, "overruled": _overruled()})


def post_fork(server: Any, worker: Any) -> None:
    """In a worker, before it imports the app."""
    THEIRS["post_fork"](server, worker)
    # Gunicorn installs the worker's own handlers only later; until then the master's would swallow TERM
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _wait_for_first(worker)
    signal.signal(signal.SIGTERM, before)
    faulthandler.dump_traceback_later(_time_left())


def _leave_gently(worker: Any) -> None:
    """Give every connection kept alive its whole linger when a gthread worker stops.

    Gunicorn has the linger as a constant, and its one loop waits up to 2 s for each client it has answered to
    close its side too: a few slow ones used up the linger of all the others, whose requests were then reset.
    """
    gthread: Any = sys.modules.get("gunicorn.workers.gthread")
    if not hasattr(gthread, "STOP_KEEPALIVE_LINGER"):
        return
    gthread.STOP_KEEPALIVE_LINGER = START["linger"]
    close = gthread.TConn.close

    def close_aside(connection: Any, graceful: bool = False) -> None:
        if worker.alive or not graceful:
            close(connection, graceful)
        else:
            threading.Thread(target=close, args=(connection, True)).start()

    gthread.TConn.close = close_aside


def post_worker_init(worker: Any) -> None:
    """In a worker that has imported the app: check it, hold it, let it go."""
    THEIRS["post_worker_init"](worker)
    _leave_gently(worker)
    faulthandler.cancel_dump_traceback_later()
    COUNTERS.append(Counters(os.path.join(FOLDER, f"counters.{worker.pid}"), worker.cfg.threads + 1))
    _hold(worker)
    worker.wsgi = wrap(worker.wsgi, START["release"], START["generation"])


def pre_request(worker: Any, req: Any) -> None:
    """Count a request in."""
    try:
        THEIRS["pre_request"](worker, req)
    finally:
        COUNTERS[0].begin()


def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> None:
    """Count a request out."""
    try:
        THEIRS["post_request"](worker, req, environ, resp)
    finally:
        # without a status the app raised before it answered, and Gunicorn answers 500 for it
        failed = resp is not None and (resp.status is None or resp.status_code >= SERVER_ERROR)
        COUNTERS[0].end(failed=failed)


def worker_exit(server: Any, worker: Any) -> None:
    """In a worker that leaves."""
    try:
        THEIRS["worker_exit"](server, worker)
    finally:
        if COUNTERS:
            COUNTERS[0].goodbye()


def child_exit(server: Any, worker: Any) -> None:
    """In the master, after the end of a worker: account for it. An error here would end the master."""
    THEIRS["child_exit"](server, worker)
    with contextlib.suppress(OSError):
        _account_for(worker)


def _account_for(worker: Any) -> None:
    path = os.path.join(FOLDER, f"counters.{worker.pid}")
    if not os.path.exists(path):
        return
    sums = totals(path)
    if worker.aborted or not sums[GOODBYE]:
        _write(f"crashed.{worker.pid}", {"held": sums[STARTED] - sums[FINISHED], "at": time.time()})
    _fold(path, sums)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(FOLDER, f"ready.{worker.pid}"))


HOOKS = (
    "when_ready", "post_fork", "post_worker_init", "pre_request", "post_request", "worker_exit", "child_exit",
)  # fmt: skip
COUNTERS: list[Counters] = []
START = _read("start.json")
if not _there("booted.json"):
    # not when HUP has the config read again: what is forked then would wait for this timer's thread for ever
    faulthandler.dump_traceback_later(_time_left())
USER = {**_user_settings(START["user_config"]), **_environment_settings()}
THEIRS = {name: _hook(name) for name in HOOKS}
globals().update({name: value for name, value in _settings().items() if name not in HOOKS})
control_socket_disable = True
