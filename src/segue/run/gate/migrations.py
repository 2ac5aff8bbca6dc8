"""Reads or runs the app's migrations, in its own interpreter, and says how it went.

Its arguments are RESULT TIMEOUT EXECUTOR MODULE TOOL [HOW REVISION...]. With revisions it runs those, and
nothing else. It writes RESULT as JSON: what `History.read` found; or, of a run,
``{"kind": "ok", "applied": ...}``; or ``{"kind": ..., "message": ..., "evidence": ...}``, and where the
database stands then.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import time
import traceback
from collections.abc import Collection
from types import TracebackType
from typing import Any

from .database_lock import Locked
from .history import Changed, History
from .import_check import die_with, leave
from .loading import load

# how revisions are run that a failure undoes; the others are run piecemeal
ATOMIC = "atomic"


def _open(tool: str, module: str) -> History:
    if tool == "django":
        load(module)
        return importlib.import_module(f"{__package__}.django_history").DjangoHistory()  # type: ignore[no-any-return]
    alembic = importlib.import_module(f"{__package__}.alembic_history")
    return alembic.by_alembic() if tool == "alembic" else alembic.by_flask_migrate(load(module))  # type: ignore[no-any-return]


def _failed(kind: str, error: BaseException, files: Collection[str] = (), **stands: Any) -> dict[str, Any]:
    words = [type(error).__name__, *str(error).splitlines()[:1]]
    trace = _from_revision(error.__traceback__, files)
    evidence = "".join(traceback.format_exception(type(error), error, trace, chain=False))
    unknown = {"before": [], "current": [], "transactional": False}
    told = {"kind": kind, "message": ": ".join(filter(None, words)), "evidence": evidence}
    return {**told, "where": _where(error, files), **unknown, **stands}


def _from_revision(trace: TracebackType | None, files: Collection[str]) -> TracebackType | None:
    """The frames of `trace` from the first one in a revision; all of them where there is none."""
    frame = trace
    while frame is not None and frame.tb_frame.f_code.co_filename not in files:
        frame = frame.tb_next
    return frame or trace


def _run(history: History, how: str, wanted: list[str], deadline: float) -> dict[str, Any]:
    try:
        history.lock(deadline)
    except Locked as error:
        return _failed("locked", error)
    before = history.current()
    try:
        lacking = history.lacking(wanted)
        history.upgrade(wanted, again=how == ATOMIC)
    except Changed as error:
        return _failed("changed", error)
    except BaseException as error:  # noqa: BLE001 - SystemExit too: whatever a migration raises is the finding
        files = _files(history, wanted)
        stands = {"before": before, "current": _current(history), "transactional": history.transactional}
        return _failed("raised", error, files, **stands)
    return {"kind": "ok", "applied": lacking}


def _read(history: History) -> dict[str, Any]:
    found = history.read()
    return {"kind": "ok", **found, "transactional": history.transactional}


def _current(history: History) -> list[str] | None:
    with contextlib.suppress(Exception):
        return history.current()
    return None


def _files(history: History, wanted: list[str]) -> set[str]:
    with contextlib.suppress(Exception):  # the database may be gone
        return {history.file_of(revision) for revision in wanted}
    return set()


def _where(error: BaseException, files: Collection[str]) -> str:
    """The last line of a revision's in the traceback of `error`; empty where there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"{os.path.relpath(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""


def serve(arguments: list[str]) -> None:
    """Read the migrations, or run those that are named, and write down how it went."""
    result, timeout, executor, module, tool, *rest = arguments
    how, wanted = rest[:1], rest[1:]
    die_with(int(executor))
    faulthandler.enable()
    faulthandler.dump_traceback_later(float(timeout))
    # who gets the lock needs time as well
    deadline = time.monotonic() + float(timeout) / 2
    try:
        history = _open(tool, module)
        document = _run(history, how[0], wanted, deadline) if how else _read(history)
    except BaseException as error:  # noqa: BLE001 - whatever the app raises is the finding
        document = _failed("unreachable", error)
    faulthandler.cancel_dump_traceback_later()
    leave(result, document)
