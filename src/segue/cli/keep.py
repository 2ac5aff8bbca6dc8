"""``python -m segue.cli.keep``: the keeper's controller, as `segue up` starts it. Its argument is one JSON document."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

from segue.cli.progress import Progress
from segue.cli.verb import show_error
from segue.core.address import parse_address
from segue.core.errors import SegueError, error_from_dict
from segue.disk.events import Event
from segue.disk.home import Home
from segue.embedded.keeper import Keeper

_progress = Progress(live=False)


def _print_event(event: Event) -> None:
    _progress.show(event)
    if event.get("event") == "end" and event.get("error"):
        show_error(error_from_dict(event["error"], int(event.get("exit_code", 1))))
    if event.get("event") == "step" and event["name"] == "commit" and event["status"] == "done":
        sys.stderr.write(f"serving {event['deploy']}\n")


async def _keep(spec: dict[str, object], *, stop: bool) -> int:
    keeper = Keeper(
        home=Home(Path(str(spec["project"]))),
        listener=socket.socket(fileno=int(str(spec["listener"]))),
        address=parse_address(str(spec["address"])),
        app=str(spec["app"]),
        overrides=dict(spec["overrides"]),  # type: ignore[call-overload]  # JSON: the sender is `segue up`
        print_event=_print_event,
    )
    return await keeper.live(stop=stop)


def main() -> None:
    """Keep until told to stop."""
    try:
        code = asyncio.run(_keep(json.loads(sys.argv[1]), stop="--stop" in sys.argv[2:]))
    except SegueError as error:
        show_error(error)
        code = error.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
