"""Before anything is done it is seen that the service is what answers where users come in."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.bad import demand_good_error

from segue.core.address import Address
from segue.core.errors import Refused
from segue.reload.door import Door
from segue.reload.listening import Listener
from segue.reload.look import Service
from segue.reload.master import Command, read_master
from segue.reload.prove import demand_door
from segue.reload.unit import Unit

GONE = 0


@contextlib.asynccontextmanager
async def answering(path: Path, status: int) -> AsyncIterator[Address]:
    """A server that has one answer for all; none where that is GONE."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    if status != GONE:
        async with await asyncio.start_unix_server(answer, path):
            yield Address(path=str(path))
    else:
        yield Address(path=str(path))


async def demanded(folder: Path, users: int, own: int) -> None:
    async with answering(folder / "nginx", users) as door, answering(folder / "s", own) as address:
        service = Service(
            unit=Unit("shop.service", {}, ()),
            master=read_master(os.getpid(), ()),
            command=Command(("python",), "", ()),
            workers=frozenset(),
            listeners=frozenset((Listener(1, address),)),
            door=Door("shop.example", door),
            environ={},
        )
        await demand_door(service, "http://shop.example/", (), "http://shop.example/")


# the last one: the code that runs is bad, which a reload is to mend
@pytest.mark.parametrize(("users", "own"), [(200, 200), (301, 200), (500, 500)])
def test_a_door_that_leads_to_the_service_is_believed(tmp_path: Path, users: int, own: int) -> None:
    asyncio.run(demanded(tmp_path, users, own))


@pytest.mark.parametrize(("users", "own"), [(401, 200), (404, 200), (404, 500), (GONE, 200), (GONE, GONE)])
def test_a_door_that_does_not_is_refused(tmp_path: Path, users: int, own: int) -> None:
    with pytest.raises(Refused) as caught:
        asyncio.run(demanded(tmp_path, users, own))
    demand_good_error(caught.value.as_dict())
    assert caught.value.kind == "door"
    assert "the service itself" in caught.value.evidence
