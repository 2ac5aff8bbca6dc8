"""``python -m segue.server.recover APP REQUEST``: after every deploy's unit, whatever ended it.

Where the executor came to its end there is nothing to do. Where it was killed, this converges, and tells
whoever follows how it went.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from segue.config.schema import AppConfig
from segue.core.errors import Refused, SegueError, Stranded
from segue.disk.events import Event, append_event, read_events
from segue.proof.receipt import read_receipt
from segue.server.come_to_rest import come_to_rest
from segue.server.ground import config_on, site_of
from segue.server.installed import read_installed
from segue.server.layout import Layout

POLL = 0.1
RECEIPT_TIMEOUT = 30.0


def main() -> None:
    """Come to rest, and answer for the executor where it could not."""
    app, request_id = sys.argv[1:]
    os.umask(0o022)
    layout = Layout(app)
    events = layout.request_events(request_id)
    if any("exit_code" in line for line in read_events(events)):
        return
    try:
        document, code = asyncio.run(_recover(layout, request_id, events))
    except Refused as error:
        document, code = {"ok": False, "error": error.as_dict()}, error.exit_code
    except SegueError as error:
        stranded = Stranded("stranded", error.message, evidence=error.evidence, hint=error.hint)
        document, code = {"ok": False, "error": stranded.as_dict()}, stranded.exit_code
    append_event(events, {"document": document, "exit_code": code})


async def _recover(layout: Layout, request_id: str, events: Path) -> tuple[dict[str, object], int]:
    installed = read_installed(layout)
    config = config_on(installed, AppConfig.model_validate({"name": layout.app}))
    unit = layout.deploy_unit(request_id)
    site = site_of(layout, installed, config, unit, lambda event: append_event(layout.events, event))
    # whoever has the lock comes to rest: the keeper, or the next deploy
    with contextlib.suppress(Refused):
        await come_to_rest(site)
    deploy = next((name for line in read_events(events) if (name := _deploy_in(line))), None)
    evidence = f"`journalctl -u {unit}` tells more"
    if deploy is None:
        text, hint = "The executor died before it began; nothing was touched.", "`segue deploy` tries again"
        raise Refused("executor_died", text, evidence=evidence, hint=hint)
    receipt = await _receipt(site.home.receipt(deploy))
    if receipt is None:
        text, hint = f"The executor of {deploy} died.", "`segue status` says what serves"
        raise Stranded("executor_died", text, evidence=evidence, hint=hint)
    return receipt, receipt["exit_code"]


def _deploy_in(line: Event) -> str | None:
    event = line.get("event")
    return event.get("deploy") if isinstance(event, dict) else None


async def _receipt(path: Path) -> dict[str, Any] | None:
    """The receipt at `path`, as soon as somebody has written it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + RECEIPT_TIMEOUT
    while (receipt := read_receipt(path)) is None and loop.time() < deadline:
        await asyncio.sleep(POLL)
    return receipt


if __name__ == "__main__":
    main()
