"""Memory is looked at before workers are started: all at once, one by one, or not at all."""

from __future__ import annotations

import os

import pytest
from tests.support.bad import demand_good_error

from segue.core.address import Address
from segue.core.errors import Refused
from segue.reload.door import Door
from segue.reload.look import Service
from segue.reload.master import Command, read_master
from segue.reload.room import at_once
from segue.reload.unit import Unit

MIB = 1 << 20


def service(limit: int | str, used: int) -> Service:
    told = {"MemoryMax": str(limit), "MemoryCurrent": str(used)}
    return Service(
        unit=Unit("shop.service", told, ()),
        master=read_master(os.getpid(), ()),
        command=Command(("python",), "", ()),
        workers=frozenset(),
        listeners=frozenset(),
        door=Door("localhost", Address("localhost", 80)),
        environ={},
    )


@pytest.mark.parametrize(("limit", "batch"), [(400 * MIB, 4), (200 * MIB, 1), ("infinity", 4)])
def test_as_many_are_started_as_there_is_room_for(limit: int | str, batch: int) -> None:
    assert at_once(service(limit, 100 * MIB), 4, 50 * MIB) == batch


def test_where_there_is_no_room_at_all_it_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        at_once(service(120 * MIB, 100 * MIB), 4, 50 * MIB)
    demand_good_error(caught.value.as_dict())
    assert "50 MiB" in caught.value.evidence
