"""Deploys in a row on a real server, through nginx, from 40 ms away: nobody notices, whoever is asked."""

from __future__ import annotations

import pytest
from tests.support.machine.host import Host
from tests.support.machine.main_job import WAYS, main_job

DEPLOYS, MANY = 3, 20
LONG = 10


@pytest.mark.parametrize("way", ["sync", "uvicorn"])
def test_deploys_in_a_row_lose_nothing(far_host: Host, way: str) -> None:
    main_job(far_host, way, deploys=DEPLOYS)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("way", WAYS)
def test_many_deploys_in_a_row_lose_nothing(far_host: Host, way: str) -> None:
    print(way, main_job(far_host, way, deploys=MANY, longest=LONG))
