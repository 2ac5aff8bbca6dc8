"""Server-sent events and WebSockets through nginx: closed in order, so that the old generation stays warm."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.machine.host import Host
from tests.support.machine.main_job import WAYS, demand_clean, demand_unnoticed, set_up, users


@pytest.mark.parametrize("way", ["gthread", "uvicorn"])
def test_a_release_whose_streams_were_closed_is_warm_and_has_streams_again(host: Host, way: str) -> None:
    served = WAYS[way]
    shop = set_up(host, replace(served, settings={**served.settings, "standby": "5m"}))
    with users(shop) as load:
        shop.commit("v2")
        receipts = [shop.ask("deploy", "production")]
        assert load.streams is not None
        for _ in range(2):
            back = receipts[-1]["previous"].rpartition(".")[0]
            receipts.append(shop.ask("rollback", "production", "--to", back))
            assert "boot" not in [step["name"] for step in receipts[-1]["steps"]]
            assert shop.record()["standby"] == receipts[-1]["previous"]
    for receipt in receipts:
        demand_clean(receipt)
        assert receipt["drained"] > 0
        assert not receipt["notes"]
    demand_unnoticed(shop, load)
