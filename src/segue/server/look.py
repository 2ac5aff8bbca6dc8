"""What people ask of a server and nothing is changed by."""

from __future__ import annotations

from typing import Any

from segue.deploy import look as on_disk
from segue.server import systemd
from segue.server.home import home_of
from segue.server.installed import Installed
from segue.server.layout import Layout
from segue.server.process_units import ProcessUnits
from segue.server.request import Request


def look(layout: Layout, installed: Installed, request: Request) -> dict[str, Any]:
    """The document that answers `request`, whose verb is one of `request.LOOKS`.

    Raises:
        SegueError: there is nothing to see.
    """
    home = home_of(layout)
    match request.verb:
        case "releases":
            return on_disk.on_disk(home)
        case "history":
            return on_disk.history_document(home, timelines=bool(request.args.get("timeline")))
        case "receipt":
            wanted, timeline = request.args.get("to"), bool(request.args.get("timeline"))
            return on_disk.receipt_document(home, wanted, timeline=timeline)
        case _:
            unit = layout.keeper_unit
            keeper = {"unit": unit, "state": systemd.states([unit])[unit]}
            told = {"app": installed.app, "target": installed.target, "keeper": keeper}
            return {
                **told,
                **on_disk.roles(home),
                "processes": ProcessUnits(home, installed).look(home.read_record().live),
            }
