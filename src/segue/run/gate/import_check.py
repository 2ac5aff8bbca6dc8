"""The import check: imports the app once, in its own interpreter, and says how it went.

Its arguments are RESULT TIMEOUT EXECUTOR MODULE. It ends when the process EXECUTOR, which started it, does.
It writes RESULT as JSON: ``{"kind": "ok", "file": ..., "interface": ..., "servers": ...}``, or
``{"kind": ..., "message": ..., "evidence": ...}``; the traceback in that begins with the app's own frames.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.metadata
import json
import os
import signal
import sys
import traceback
from typing import Any, NoReturn

from .loading import NoApp, interface_of, load

MOST_NAMES = 20
PR_SET_PDEATHSIG = 1
SERVERS = ("gunicorn", "uvicorn", "uvicorn-worker", "granian")


def app_frames(error: BaseException) -> str:
    """The traceback of `error` from the first frame that is neither ours nor importlib's."""
    importing = str(sys.modules["importlib"].__file__).removesuffix("__init__.py")
    machinery = (os.path.dirname(__file__), "<frozen importlib", importing)
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(machinery):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


def _servers() -> dict[str, str]:
    found = {}
    for name in SERVERS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _check(module: str) -> dict[str, Any]:
    try:
        app = load(module)
    except NoApp as error:
        return _no_app(module, error)
    except ModuleNotFoundError as error:
        if f"{module.partition(':')[0]}.".startswith(f"{error.name}."):
            return _no_module(module, str(error.name))
        return _raised(module, error)
    except BaseException as error:  # noqa: BLE001 - SystemExit too: whatever an app raises is the finding
        return _raised(module, error)
    name = module.partition(":")[0]
    file = getattr(sys.modules.get(name), "__file__", None)
    return {
        "kind": "ok",
        "file": file and os.path.realpath(file),
        "interface": interface_of(app),
        "servers": _servers(),
        "python": sys.executable,
    }


def _no_module(module: str, missing: str) -> dict[str, Any]:
    there = sorted(name for name in os.listdir() if not name.startswith((".", "__")))
    return {
        "kind": "module",
        "message": f"There is no module {missing!r}.",
        "evidence": f"looking for {module}\nthe release has: {', '.join(there[:MOST_NAMES])}",
    }


def _no_app(module: str, error: Exception) -> dict[str, Any]:
    name, _, attribute = module.partition(":")
    there = vars(sys.modules[name])
    found = there.get(attribute.partition("(")[0] or "application")
    names = ", ".join(sorted(key for key, value in there.items() if callable(value))[:MOST_NAMES])
    return {
        "kind": "attribute" if found is None else "not_callable",
        "message": f"{module} is no app: {error}".rstrip(".") + ".",
        "evidence": f"callable in {name}: {names}"
        if found is None
        else f"it is of type {type(found).__name__}",
    }


def _raised(module: str, error: BaseException) -> dict[str, Any]:
    words = [type(error).__name__, *str(error).splitlines()[:1]]
    return {
        "kind": "missing" if isinstance(error, ModuleNotFoundError) else "import",
        "message": f"{module} failed to import: {': '.join(words)}".rstrip(".") + ".",
        "evidence": app_frames(error),
    }


def die_with(executor: int) -> None:
    """An import that hangs would outlive whoever could end it."""
    with contextlib.suppress(ImportError):
        import ctypes  # noqa: PLC0415 - not every interpreter has it

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # not its parent by number: the configured interpreter may be a script that starts the real one
    if not os.path.exists(f"/proc/{executor}"):
        sys.exit("who asked for this import is gone")


def serve(arguments: list[str]) -> None:
    """Import the app, and write down how it went."""
    result, timeout, executor, module = arguments
    die_with(int(executor))
    faulthandler.enable()
    faulthandler.dump_traceback_later(float(timeout))
    document = _check(module)
    faulthandler.cancel_dump_traceback_later()
    leave(result, document)


def leave(result: str, document: dict[str, Any]) -> NoReturn:
    """Write `document` to the file `result`, and end this process."""
    with open(result, "w", encoding="utf-8") as file:
        json.dump(document, file)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    # an app that left threads behind would keep this process waiting for them
    os._exit(0)
