"""Streams that would never end: they live until the drain ends, are closed in order, and are counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.site import configure, demand_no_loss, serving, traffic
from tests.support.streams import server_sent_events, websocket
from tests.support.table import SERVERS

DRAIN = 8.0
NUMBER = 4
RESTARTING = 1012


@pytest.mark.parametrize(
    "server", ["gthread", "gevent", "asgi", "uvicorn-worker", "uvicorn", "uvicorn-alone"]
)
def test_streams_are_closed_in_order_one_after_the_other(tmp_path: Path, server: str) -> None:
    kinds = [server_sent_events, *([websocket] if SERVERS[server].interface == "asgi" else [])]
    folder = tmp_path / "project"
    make_app(folder, version="v1", interface=SERVERS[server].interface)
    # one worker, so that all of them are on the same one
    configure(folder, **{**SERVERS[server].job, "workers": 1, "drain_timeout": f"{DRAIN}s"})
    with serving(folder) as site, ThreadPoolExecutor(NUMBER * len(kinds)) as pool:
        old = site.live().name
        streams = [kind(pool, site.bind) for kind in kinds for _ in range(NUMBER)]
        assert {stream.generation for stream in streams} == {old}
        make_app(folder, version="v2")
        with traffic(f"{site.url}/") as load:
            receipt = site.deploy()
        ends = [stream.end.result(DRAIN) for stream in streams]
    demand_no_loss(load)
    assert {end.how for end in ends} == {"whole", *({RESTARTING} if websocket in kinds else ())}
    times = sorted(end.at for end in ends)
    assert times[-1] - times[0] > DRAIN / 2
    assert (receipt["drained"], receipt["cut"]) == (len(streams), 0)


@pytest.mark.parametrize("server", ["gthread", "uvicorn"])
def test_a_proxy_is_told_to_pass_on_each_event_when_it_comes(tmp_path: Path, server: str) -> None:
    folder = tmp_path / "project"
    make_app(folder, version="v1", interface=SERVERS[server].interface)
    configure(folder, **{**SERVERS[server].job, "drain_timeout": "1s"})
    with serving(folder) as site:
        for path, told in (("/", None), ("/events", "no")):
            with site.way.get(f"{site.url}{path}") as response:
                assert response.headers["X-Accel-Buffering"] == told
