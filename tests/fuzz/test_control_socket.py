"""Whatever comes by the keeper's socket, it answers or hangs up, serves the next asker, and keeps nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.apps import make_app
from tests.support.bad import on_disk
from tests.support.damage import VALUES, altered, overwritten
from tests.support.site import Site, configure, serving, until

from segue import __version__
from segue.core.errors import Bug, Failed
from segue.deploy.protocol import LONGEST_LINE
from segue.embedded import server as ear
from segue.embedded.server import Asker, Server

PATIENCE = 0.2  # the server's, instead of 10 s
AT_ONCE = 20.0  # for a busy machine
GOOD = {"version": __version__, "verb": "deploy", "args": {"rev": "v1", "wait": True}, "by": "ann"}
CANCEL = b'{"verb": "cancel"}\n'


def line(document: Any) -> bytes:
    return json.dumps(document).encode() + b"\n"


def nested(key: str, depth: int) -> bytes:
    """A request in which `key` is lists in lists: json.dumps itself could not write so many."""
    return line(GOOD | {key: "@"}).replace(b'"@"', b"[" * depth + b"]" * depth)


lines = (
    altered(GOOD).map(line)
    | overwritten(line(GOOD))
    | st.sampled_from(["deploy", "wait", "fail", "chatter"]).map(lambda verb: line(GOOD | {"verb": verb}))
    | st.builds(nested, st.sampled_from(["version", "verb", "args", "by"]), st.integers(900, 1100))
    | st.sampled_from(
        [CANCEL, CANCEL * 2000, b"\n", b"x" * LONGEST_LINE, b"x" * 2 * LONGEST_LINE + b"\n", b"\xff\n"]
    )
    | st.binary(max_size=30)
)
conversations = st.lists(lines, min_size=1, max_size=5).map(b"".join)
endings = st.sampled_from(["reads", "half closes", "leaves", "never reads"])


@dataclass
class Room:
    """A server with one answer to each verb, and what went wrong in its loop."""

    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    troubles: list[Any] = field(default_factory=list)

    async def answer(self, asker: Asker) -> tuple[dict[str, Any], int]:
        match asker.verb:
            case "wait":
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.cancelled.wait(), PATIENCE)
            case "fail":
                raise Failed("check", "It failed.")
            case "chatter":
                for number in range(3000):
                    asker.tell({"event": "say", "text": f"{number}" * 100})
                await asyncio.sleep(0)
        return {"ok": True}, 0

    def cancel(self, _asker: Asker) -> None:
        self.cancelled.set()


async def says(path: Path, data: bytes, ending: str) -> bytes:
    """Everything that one who says `data`, and ends like that, hears."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=2**24)
    heard = b""
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        if ending == "half closes":
            writer.write_eof()
        if ending == "never reads":
            reader._transport.pause_reading()  # type: ignore[attr-defined]  # asyncio has no word for it
            await asyncio.sleep(2 * PATIENCE)
        elif ending != "leaves":
            heard = await asyncio.wait_for(reader.read(-1), AT_ONCE + 3 * PATIENCE)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return heard


def demand_documented(heard: bytes) -> None:
    """Events, and one last word without our own fault in it; nothing where the line broke before."""
    for number, said in enumerate(messages := [json.loads(one) for one in heard.splitlines()]):
        if number < len(messages) - 1:
            assert set(said) == {"event"}
        else:
            assert said["exit_code"] != Bug.exit_code, said
            assert said["exit_code"] == 0 or said["document"]["error"]["message"].endswith(".")


def came_late(answer: Any) -> bool:
    """Whether a busy machine took longer than the server's patience to read what was sent at once."""
    return bool(answer["exit_code"] and answer["document"]["error"]["message"].startswith("No request came"))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def meet(path: Path, data: bytes, ending: str) -> Room:
    """One bad asker, a good one beside it, and nothing left of them."""
    room = Room()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: room.troubles.append(context))
    server = Server(room.answer, room.cancel)
    listening = await server.listen(path)
    before = descriptors()
    bad = asyncio.create_task(says(path, data, ending))
    await asyncio.sleep(0)
    async with asyncio.timeout(AT_ONCE):
        while came_late(good := json.loads(await says(path, line(GOOD), "reads"))):
            pass
    assert good["exit_code"] == 0
    demand_documented(await bad)
    async with asyncio.timeout(AT_ONCE):
        while len(asyncio.all_tasks()) > 1 or descriptors() > before:
            await asyncio.sleep(0.01)
    listening.close()
    return room


@pytest.fixture(scope="module")
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ear, "REQUEST_TIMEOUT", PATIENCE)
        yield tmp_path_factory.mktemp("ear") / "keeper.sock"


@given(conversations, endings)
@example(line(GOOD | {"verb": "wait"}) + CANCEL * 5000, "reads")
@example(line(GOOD | {"verb": "chatter"}), "never reads")
@example(line(GOOD) * 2, "half closes")
@example(b"x", "reads")
def test_any_conversation(socket_path: Path, data: bytes, ending: str) -> None:
    assert asyncio.run(meet(socket_path, data, ending)).troubles == []


@pytest.mark.parametrize("key", ["version", "verb", "args", "by"])
def test_what_is_nested_as_deep_as_json_can_be_read_is_bad_input(socket_path: Path, key: str) -> None:
    for depth in range(900, 1000, 4):
        asyncio.run(meet(socket_path, nested(key, depth), "reads"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("fuzz") / "project"
    make_app(folder, version="v1")
    configure(folder)
    with serving(folder) as site:
        yield site


def ear_of(site: Site) -> Path:
    keeper = site.home.read_keeper()
    assert keeper is not None
    return Path(keeper["socket"])


ARGS = st.fixed_dictionaries(
    {"dry_run": st.just(True)}, optional=dict.fromkeys(("rev", "path", "to"), VALUES)
)


@given(st.sampled_from(["deploy", "rollback", "restart", "recover", "", "\ud800"]), ARGS | VALUES)
@example("deploy", {"dry_run": True, "path": "\ud800"})
@example("deploy", {"dry_run": True, "rev": "\ud800"})
@example("deploy", {"dry_run": True, "path": "x" * 5000})
@example("deploy", {"dry_run": True, "rev": "x" * 60000})
@example("rollback", {"dry_run": True, "to": "\ud800"})
def test_a_live_keeper_meets_any_args(site: Site, verb: str, args: Any) -> None:
    if verb != "recover" and isinstance(args, dict) and args.get("dry_run") is not True:
        args = {**args, "dry_run": True}
    before, controller = on_disk(site.folder), site.controller()
    data = line(GOOD | {"verb": verb, "args": args})
    heard = asyncio.run(says(ear_of(site), data, "reads"))
    demand_documented(heard)
    assert heard
    assert on_disk(site.folder) == before
    assert site.controller() == controller


def test_a_live_keeper_keeps_nothing_of_a_storm_of_askers(site: Site) -> None:
    controller = site.controller()

    def open_descriptors() -> int:
        return len(os.listdir(f"/proc/{controller.pid}/fd"))

    async def storm() -> None:
        path = ear_of(site)
        request = line(GOOD | {"verb": "recover", "args": {"wait": True}})
        await asyncio.gather(
            *(says(path, request + CANCEL * 50, ending) for ending in ["leaves", "reads"] * 50)
        )

    before = open_descriptors()
    asyncio.run(storm())
    until(lambda: open_descriptors() <= before, what="the end of all connections")
    assert site.segue("recover").code == 0
    assert site.controller() == controller
