"""``python -m segue.server.execute APP REQUEST``: one deploy, in a unit of its own, whoever follows it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from segue.core.errors import Bug, Failed, Interrupted, Refused, SegueError, UsageError
from segue.core.record import Phase
from segue.deploy.execute import execute
from segue.deploy.prepare import prepare
from segue.deploy.run import Run, Site
from segue.disk.atomic import write_json
from segue.disk.events import Event, append_event
from segue.disk.lock import held_for, hold
from segue.server.come_to_rest import LOCK_HINT, RECOVERY, bring_processes, come_to_rest, settle
from segue.server.ground import config_on, demand_fit, site_of
from segue.server.installed import Installed, read_installed
from segue.server.layout import Layout
from segue.server.request import Request, read_request

POLL = 0.2

Answer = tuple[dict[str, Any], int]


def main() -> None:
    """Carry out the request, and leave its answer as the last line of its events."""
    app, request_id = sys.argv[1:]
    os.umask(0o022)
    layout = Layout(app)
    events = layout.request_events(request_id)
    try:
        request = read_request(json.loads(layout.request(request_id).read_bytes()))
        document, code = asyncio.run(_carry_out(layout, read_installed(layout), request, request_id, events))
    except SegueError as error:
        document, code = refusal(error)
    except asyncio.CancelledError:
        document, code = refusal(Interrupted("interrupted", "Interrupted in its turn; nothing was touched."))
    except Exception as error:  # noqa: BLE001 - whoever follows has to be told
        evidence = traceback.format_exc()
        document, code = refusal(Bug("bug", f"segue itself failed: {error!r}.", evidence=evidence))
    append_event(events, {"document": document, "exit_code": code})


def refusal(error: SegueError) -> Answer:
    """The answer where no deploy came about."""
    return {"ok": False, "error": error.as_dict()}, error.exit_code


async def _carry_out(
    layout: Layout, installed: Installed, request: Request, request_id: str, events: Path
) -> Answer:
    if request.config is None:
        raise UsageError("request", "That is no request.", evidence="it has no config")
    config = config_on(installed, request.config)

    def say(event: Event) -> None:
        hidden = site.secrets().hide_in_event(event)
        append_event(layout.events, hidden)
        append_event(events, {"event": hidden})

    site = site_of(layout, installed, config, layout.deploy_unit(request_id), say)
    _on_signals(_current_task().cancel)
    if request.verb == "recover":
        record, actions = await come_to_rest(site)
        started = await bring_processes(site)
        return {"ok": True, "record": record.as_dict(), "actions": [*actions, *started]}, 0
    async with _turn(site, request):
        await _finish_earlier(site)
        demand_fit(installed, request)
        run = prepare(site, config, request.wish())
        write_json(layout.config, request.config.model_dump(mode="json", exclude_none=True))
        return await _deploy(run)


async def _finish_earlier(site: Site) -> None:
    """Bring to rest what an executor left that died a moment ago: this one was quicker to take the lock."""
    if site.home.read_record().phase is not Phase.REST:
        # where the live release is down, this deploy may be what mends it
        with contextlib.suppress(Failed):
            await settle(site)


@contextlib.asynccontextmanager
async def _turn(site: Site, request: Request) -> AsyncIterator[None]:
    """The lock, at once or, where that was asked for, in its turn.

    Our own housekeeping, such as the end of a standby, is waited for in any case: nobody asked for that.
    """
    with contextlib.ExitStack() as turn:
        while True:
            try:
                what = f"The {request.verb} that {request.by} asked for"
                turn.enter_context(hold(site.home.lock, what, hint=LOCK_HINT))
                break
            except Refused:
                if not request.args.get("wait") and held_for(site.home.lock) not in ("", RECOVERY):
                    raise
            await asyncio.sleep(POLL)
        yield


async def _deploy(run: Run) -> Answer:
    deploying = asyncio.create_task(execute(run))

    def cancel() -> None:
        if run.can_be_cancelled:
            run.can_be_cancelled = False
            deploying.cancel()

    _on_signals(cancel)
    receipt = await deploying
    return receipt.as_dict(), receipt.exit_code


def _on_signals(act: Callable[[], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, act)


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("this runs in a task")
    return task


if __name__ == "__main__":
    main()
