"""The holder beside every master, and the next keeper, which has the socket from it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support import deaths
from tests.support.apps import make_app
from tests.support.bad import processes_of, up_refused
from tests.support.deaths import demand_nothing_left, demand_rest, workers_of
from tests.support.masters import RELEASE, Bench, bench
from tests.support.site import Site, configure, demand_no_loss, serving, traffic, until
from tests.support.takeover import WITHOUT_PTRACE, holder_of, kill_keeper, listening_inode

from segue.core.address import parse_address
from segue.disk.processes import ProcessId, parent_of
from segue.embedded.takeover import take_listener
from segue.run.generation import Generation

# far longer than what fits the name of a unix socket
DEEP = Path(*["folders-in-folders"] * 8)
NOBODY = 65534
ASKS = """
import os, socket, sys
user, folder = int(sys.argv[1]), sys.argv[2]
os.chdir(folder)
os.setresuid(user, user, user)
with socket.socket(socket.AF_UNIX) as asking:
    asking.settimeout(20)
    asking.connect("holder.sock")
    said, descriptors, _, _ = socket.recv_fds(asking, 1, 1)
    print(said, len(descriptors))
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / DEEP / "project"
    make_app(folder, version="quick")
    configure(folder, workers=2)
    with serving(folder) as site:
        yield site


def without_ptrace(site: Site, bind: str) -> contextlib.AbstractContextManager[Site]:
    """The next keeper, to which the kernel gives no descriptor of another process."""
    return serving(site.folder, bind=bind, prefix=WITHOUT_PTRACE)


# taking over


def test_a_keeper_without_ptrace_rights_takes_over_the_same_socket_and_the_same_processes(site: Site) -> None:
    """Twice: also from a master that is not the first of its generation, and was adopted before it died."""
    bind, master = site.bind, site.live().master()
    assert master is not None
    with ExitStack() as stack:
        with traffic(f"{site.url}/") as load:
            inode = listening_inode(bind)
            kill_keeper(site)
            second = stack.enter_context(without_ptrace(site, bind))
            assert (second.live().master(), listening_inode(bind)) == (master, inode)
            demand_rest(second)
            master.signal(signal.SIGKILL)
            until(lambda: second.live().master() not in (None, master), what="the next master")
            demand_rest(second)
            again = second.live().master()
            kill_keeper(second)
            third = stack.enter_context(without_ptrace(site, bind))
            assert (third.live().master(), listening_inode(bind)) == (again, inode)
            make_app(site.folder, version="next")
            third.deploy("--wait")
            assert deaths.fetch(f"{third.url}/") == "next"
            demand_rest(third)
        demand_no_loss(load)
    demand_nothing_left(site)


def test_without_a_holder_and_without_ptrace_rights_the_next_keeper_touches_nothing(site: Site) -> None:
    bind, master = site.bind, site.live().master()
    assert master is not None
    with traffic(f"{site.url}/") as load:
        holder_of(site.live()).signal(signal.SIGKILL)
        kill_keeper(site)
        refused = up_refused(site.folder, 3, "--bind", bind, prefix=WITHOUT_PTRACE)
        assert f"error: {bind} is in use." in refused.err
        assert master.alive()
    demand_no_loss(load)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Bench, Generation]]:
    """A generation that serves, without a keeper."""
    make_app(tmp_path, version="v1")
    with bench(tmp_path) as made:
        generation = made.prepare(f"{RELEASE}.1", workers=2)
        made.serve(generation)
        yield made, generation


def test_where_the_holder_is_gone_the_socket_comes_from_the_master(served: tuple[Bench, Generation]) -> None:
    made, generation = served
    if not may_debug(made.master(generation.name)):
        pytest.skip("this kernel gives this user no descriptor of another process")
    holder = holder_of(generation)
    holder.signal(signal.SIGKILL)
    until(lambda: not holder.alive(), what="its end")
    listener = take_listener(made.home, made.address)
    assert listener is not None
    with listener:
        assert listener.getsockname() == (made.address.host, made.address.port)


def may_debug(process: ProcessId) -> bool:
    try:
        os.close(os.open(f"/proc/{process.pid}/mem", os.O_RDONLY))
    except PermissionError:
        return False
    return True


def test_a_socket_of_another_address_is_not_taken(served: tuple[Bench, Generation]) -> None:
    made, _ = served
    assert take_listener(made.home, parse_address("127.0.0.2:0")) is None


# the holder's life


def discard(made: Bench, name: str) -> None:
    asyncio.run(made.processes.discard(name))


def drain(made: Bench, name: str) -> None:
    made.processes.go(name)
    asyncio.run(made.processes.drain(name))


def kill(made: Bench, name: str) -> None:
    made.processes.kill(name)


def crash(made: Bench, name: str) -> None:
    made.master(name).signal(signal.SIGKILL)


@pytest.mark.parametrize("end", [discard, drain, kill, crash])
def test_the_holder_goes_with_its_master_and_is_none_of_its_workers(
    tmp_path: Path, end: Callable[[Bench, str], None]
) -> None:
    make_app(tmp_path, version="v1")
    with bench(tmp_path) as made:
        generation = made.prepare(f"{RELEASE}.1", workers=1)
        made.start(generation)
        holder, master = holder_of(generation), made.master(generation.name)
        assert parent_of(holder.pid) != master.pid
        assert len(generation.ready_workers()) == len(workers_of(master)) == 1
        end(made, generation.name)
        until(lambda: not master.alive() and not holder.alive(), what="the end of both")
        until(lambda: not processes_of(made.home, generation.name), what="the end of all of them")


def test_a_master_that_is_started_again_has_a_holder_of_its_own(served: tuple[Bench, Generation]) -> None:
    made, generation = served
    first = holder_of(generation)
    made.crash(generation.name)
    until(lambda: not first.alive(), what="the end of the first holder")
    made.start(generation)
    assert holder_of(generation) != first
    with taken(made) as listener:
        assert listener.getsockname()[1] == made.address.port


@contextlib.contextmanager
def taken(made: Bench) -> Iterator[socket.socket]:
    listener = take_listener(made.home, made.address)
    assert listener is not None
    with listener:
        yield listener


def test_a_master_that_drains_still_has_its_holder(site: Site) -> None:
    """A signal to its whole group does not reach the holder; it goes when the last request is answered."""
    master, holder = site.live().master(), holder_of(site.live())
    assert master is not None
    with deaths.in_flight(site, 6.0) as request:
        until(lambda: holds(site), what="a request in flight")
        kill_keeper(site)
        os.killpg(master.pid, signal.SIGTERM)
        until(lambda: len(workers_of(master)) == 1, what="the end of the idle worker")
        assert holder.alive()
        assert deaths.answered(request)
    until(lambda: not holder.alive(), what="the end of the holder")
    assert not master.alive()


def holds(site: Site) -> bool:
    counts = site.live().counts()
    return counts.started > counts.finished


def test_nobody_queues_for_a_master_that_was_killed_after_its_keeper(site: Site) -> None:
    master, address = site.live().master(), site.bind.split(":")
    assert master is not None
    kill_keeper(site)
    master.signal(signal.SIGKILL)

    def refused() -> bool:
        with socket.socket() as client:
            return client.connect_ex((address[0], int(address[1]))) != 0

    until(refused, what="a refused connection")
    until(lambda: not deaths.processes_in(site.folder), what="the end of all of them")


# who may ask it


def test_only_its_user_reaches_the_holder(served: tuple[Bench, Generation]) -> None:
    _, generation = served
    assert stat.S_IMODE(generation.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((generation.folder / "holder.sock").stat().st_mode) == 0o600


def ask(generation: Generation, user: int) -> str:
    """What the holder says to a process of `user`."""
    argv = (sys.executable, "-I", "-S", "-c", ASKS, str(user), str(generation.folder))
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be another user")
def test_another_user_who_reaches_the_holder_is_given_nothing(served: tuple[Bench, Generation]) -> None:
    _, generation = served
    generation.folder.chmod(0o755)
    (generation.folder / "holder.sock").chmod(0o666)
    assert ask(generation, os.getuid()) == "b'\\n' 1\n"
    assert ask(generation, NOBODY) == "b'' 0\n"
    assert ask(generation, os.getuid()) == "b'\\n' 1\n"


def test_askers_that_never_read_keep_nobody_waiting(served: tuple[Bench, Generation]) -> None:
    made, generation = served
    with ExitStack() as stack:
        for _ in range(50):
            silent = stack.enter_context(socket.socket(socket.AF_UNIX))
            folder = os.open(generation.folder, os.O_PATH)
            stack.callback(os.close, folder)
            silent.connect(f"/proc/self/fd/{folder}/holder.sock")
        with taken(made):
            pass


def test_a_killed_holder_is_missed_by_nobody_while_its_keeper_lives(site: Site) -> None:
    holder = holder_of(site.live())
    with traffic(f"{site.url}/") as load:
        holder.signal(signal.SIGKILL)
        until(lambda: not holder.alive(), what="its end")
        make_app(site.folder, version="next")
        site.deploy()
        demand_rest(site)
    demand_no_loss(load)
