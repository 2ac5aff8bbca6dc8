"""What each of Uvicorn's workers imports: the app, behind the gate."""

from __future__ import annotations

import faulthandler
import os
import traceback

from . import files
from .asgi import Gated
from .counting import counters
from .holding import Leave, pausing, wait_for_first
from .loading import load
from .uvicorn_server import behind_gate

# before the import, which may outlast it
MASTER = os.getppid()


def _load() -> Gated:
    try:
        turn = wait_for_first(pausing(MASTER, lambda: True))
    except Leave:
        os._exit(3)
    faulthandler.dump_traceback_later(files.time_left())
    try:
        loaded = load(files.start()["module"])
    except BaseException as error:
        if files.there("go"):
            raise
        files.refuse("boot", "".join(traceback.format_exception(error)))
    faulthandler.cancel_dump_traceback_later()
    return behind_gate(loaded, counters(threads=1), turn, MASTER, lambda: None)


app = _load()
