"""The import check: imports MODULE as Gunicorn would, in the app's interpreter, and says how it went.

Run as ``python import_check.py RESULT TIMEOUT MODULE`` in the release's folder. It writes RESULT as JSON:
``{"kind": "ok", "file": ...}`` or ``{"kind": ..., "message": ..., "evidence": ...}``; the traceback in it
begins with the app's own frames. It runs in the app's interpreter, so it imports nothing of segue's.
"""

import contextlib
import faulthandler
import importlib.metadata
import json
import os
import sys
import traceback


def _app_frames(error):
    """The traceback of `error` from the first frame that is neither ours nor Gunicorn's nor importlib's."""
    machinery = (__file__, os.sep + "gunicorn" + os.sep, "<frozen importlib", os.sep + "importlib" + os.sep)
    frames = error.__traceback__
    while frames is not None and any(part in frames.tb_frame.f_code.co_filename for part in machinery):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


def _check(module):
    sys.path[0] = os.getcwd()
    try:
        from gunicorn import util
        from gunicorn.errors import AppImportError
    except ImportError:
        return {
            "kind": "no_gunicorn",
            "message": f"Gunicorn is not installed for {sys.executable}.",
            "evidence": f"interpreter: {sys.executable}",
        }
    try:
        app = util.import_app(module)
    except AppImportError as error:
        return {"kind": "attribute", "message": f"{module} could not be loaded.", "evidence": str(error)}
    except ModuleNotFoundError as error:
        if error.name == module.partition(":")[0]:
            return {
                "kind": "module",
                "message": f"There is no module {error.name!r}.",
                "evidence": str(error),
            }
        return _raised(module, error)
    except (Exception, SystemExit) as error:
        return _raised(module, error)
    name = module.partition(":")[0]
    file = getattr(sys.modules.get(name), "__file__", None)
    return {
        "kind": "ok",
        "file": file and os.path.realpath(file),
        "gunicorn": importlib.metadata.version("gunicorn"),
        "callable": callable(app),
    }


def _raised(module, error):
    return {
        "kind": "import",
        "message": f"{module} failed to import: {type(error).__name__}: {error}".rstrip(".") + ".",
        "evidence": _app_frames(error),
    }


def main():
    result, timeout, module = sys.argv[1:4]
    faulthandler.dump_traceback_later(float(timeout))
    document = _check(module)
    faulthandler.cancel_dump_traceback_later()
    with open(result, "w", encoding="utf-8") as file:
        json.dump(document, file)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    # an app that left threads behind would keep this process waiting for them
    os._exit(0)


if __name__ == "__main__":
    main()
