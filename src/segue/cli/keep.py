"""``python -m segue.cli.keep JSON``: the keeper's controller, as `segue up` starts it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

from segue.cli.progress import Progress
from segue.cli.verb import show_error
from segue.core.address import parse_address
from segue.core.errors import Bug, SegueError, error_from_dict
from segue.disk.events import Event
from segue.disk.home import Home
from segue.disk.processes import die_with_parent
from segue.embedded.keeper import Keeper

_progress = Progress(live=False)


def _print_event(event: Event) -> None:
    _progress.show(event)
    if event.get("event") == "end" and event.get("error"):
        show_error(error_from_dict(event["error"], int(event.get("exit_code", 1))))
    if event.get("event") == "step" and event["name"] == "commit" and event["status"] == "done":
        sys.stderr.write(f"serving {event['deploy']}\n")


async def _keep(spec: dict[str, object], *, stops: int) -> int:
    # masters get it as descriptor 3; a second one, of which they don't know, they would never close
    os.set_inheritable(int(str(spec["listener"])), False)
    keeper = Keeper(
        home=Home(Path(str(spec["project"]))),
        listener=socket.socket(fileno=int(str(spec["listener"]))),
        address=parse_address(str(spec["address"])),
        app=str(spec["app"]),
        overrides=dict(spec["overrides"]),  # type: ignore[call-overload]  # JSON: the sender is `segue up`
        print_event=_print_event,
        taken_over=bool(spec["taken_over"]),
        watch=bool(spec["watch"]),
    )
    return await keeper.live(stops=stops)


def main() -> None:
    """Keep until told to stop."""
    spec = json.loads(sys.argv[1])
    # a keeper without its parent could not be replaced: the next `segue up` would meet a second controller
    if not die_with_parent(spec["parent"], signal.SIGKILL):
        sys.exit("segue: the keeper's parent is gone")
    try:
        code = asyncio.run(_keep(spec, stops=sys.argv.count("--stop")))
    except SegueError as error:
        show_error(error)
        code = error.exit_code
    except Exception:  # noqa: BLE001 - the parent starts another controller: what serves has to be kept
        traceback.print_exc()
        code = Bug.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
