"""``python -m segue.server.recover APP REQUEST``: after every deploy's unit, whatever ended it.

Where the executor came to its end there is nothing to do. Where it was killed, this converges, and tells
whoever follows how it went.
"""

from __future__ import annotations

import asyncio
import os
import sys

from segue.config.schema import AppConfig
from segue.core.errors import SegueError, Stranded
from segue.core.record import Phase
from segue.disk.events import append_event, read_events
from segue.proof.receipt import read_receipt
from segue.server.come_to_rest import come_to_rest
from segue.server.ground import config_on, site_of
from segue.server.installed import read_installed
from segue.server.layout import Layout


def main() -> None:
    """Come to rest, and answer for the executor where it could not."""
    app, request_id = sys.argv[1:]
    os.umask(0o022)
    layout = Layout(app)
    events = layout.request_events(request_id)
    if any("exit_code" in line for line in read_events(events)):
        return
    try:
        document, code = asyncio.run(_recover(layout, request_id))
    except SegueError as error:
        stranded = Stranded("stranded", error.message, evidence=error.evidence, hint=error.hint)
        document, code = {"ok": False, "error": stranded.as_dict()}, stranded.exit_code
    append_event(events, {"document": document, "exit_code": code})


async def _recover(layout: Layout, request_id: str) -> tuple[dict[str, object], int]:
    installed = read_installed(layout)
    config = config_on(installed, AppConfig.model_validate({"name": layout.app}))
    unit = layout.deploy_unit(request_id)
    site = site_of(layout, installed, config, unit, lambda event: append_event(layout.events, event))
    found = site.home.read_record()
    generation = found.candidate or found.live
    await come_to_rest(site)
    receipt = None if generation is None else read_receipt(site.home.receipt(generation))
    if found.phase is Phase.REST or receipt is None:
        raise Stranded(
            "executor_died",
            "The executor died before it began; nothing was touched.",
            evidence=f"`journalctl -u {unit}` tells more",
            hint="`segue deploy` tries again",
        )
    return receipt, receipt["exit_code"]


if __name__ == "__main__":
    main()
