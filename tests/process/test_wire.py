"""The long wire itself: as late as it says, in order, fast enough, and gone with its test."""

from __future__ import annotations

import math
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.apps import make_app
from tests.support.far import ROUND_TRIP, far
from tests.support.plain import plain_gunicorn
from tests.support.race import unspoilt
from tests.support.site import until
from tests.support.way import Way

SHORTEST, LONGEST = ROUND_TRIP - 0.002, ROUND_TRIP + 0.02
TIMEOUT = 30.0
NUMBER = 1000
ROOT = Path(__file__).parents[2]

# The server's side echoes datagrams. The clients' side sends `NUMBER` of them within a second, numbered, and
# prints how long each one took. Where a side is held up, its buffer has room for most of them.
ECHO = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
    echo.bind(("", 7000))
    echo.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    print("bound", flush=True)
    while True:
        echo.sendto(*echo.recvfrom(100))
"""
SEND = f"""
import socket, sys, threading, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.connect((sys.argv[1], 7000))
    client.settimeout(5)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sent = []
    def send():
        start = time.monotonic()
        for number in range({NUMBER}):
            time.sleep(max(0, start + number / {NUMBER} - time.monotonic()))
            sent.append(time.monotonic())
            client.send(b"%d" % number)
    threading.Thread(target=send).start()
    for _ in range({NUMBER}):
        number = int(client.recv(100))
        print(number, time.monotonic() - sent[number])
"""
# What a test is to the wire, in a process that can be killed: it lays one, leaves a process in it, and waits.
HOLD = """
import subprocess, sys, time
from tests.support.far import far
with far() as way:
    inside = subprocess.Popen((*way.server, "sleep", "600"), start_new_session=True)
    print(way.server[1].split("/")[2], inside.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def way() -> Iterator[Way]:
    """A way of 40 ms."""
    with far() as made:
        yield made


def run(*argv: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, **options)


def test_a_connection_and_an_answer_take_one_round_trip_each(tmp_path: Path, way: Way) -> None:
    """Seen by TCP itself, and by a request over an open connection."""
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    with plain_gunicorn(folder, workers=1, threads=1, way=way) as plain:
        connects, answers = unspoilt(
            lambda: tuple(zip(*(timed(plain.url, way) for _ in range(20)), strict=True)),
            lambda both: max(map(statistics.median, both)) - ROUND_TRIP,
        )
    for times in (connects, answers):
        assert SHORTEST <= min(times) < LONGEST


def timed(url: str, way: Way) -> tuple[float, float]:
    """Seconds to connect, and seconds from a request to its answer."""
    began = time.monotonic()
    with way.connect(url, TIMEOUT) as client:
        connected = time.monotonic()
        client.sendall(b"GET / HTTP/1.1\r\nHost: far\r\n\r\n")
        assert client.recv(1) == b"H"
        return connected - began, time.monotonic() - connected


def test_it_carries_two_thousand_packets_a_second_in_order(way: Way) -> None:
    """Each goes there and back."""

    def burst() -> list[tuple[int, float]]:
        done = run(*way.client, sys.executable, "-c", SEND, way.host)
        lines = done.communicate(timeout=30)[0].split("\n")[:-1]
        echoes = [(int(line.split()[0]), float(line.split()[1])) for line in lines]
        assert [number for number, _ in echoes] == sorted(number for number, _ in echoes)
        assert min(seconds for _, seconds in echoes) >= SHORTEST
        return echoes

    def late(echoes: list[tuple[int, float]]) -> float:
        # who sends late catches up, and a queue on the way overflows
        whole = len(echoes) == NUMBER
        return statistics.median(seconds for _, seconds in echoes) - ROUND_TRIP if whole else math.inf

    echo = run(*way.server, sys.executable, "-c", ECHO)
    with echo:
        assert echo.stdout is not None
        assert echo.stdout.readline() == "bound\n"
        unspoilt(burst, late)
        echo.kill()


def test_nothing_of_it_outlives_a_killed_test(way: Way) -> None:
    """Neither the process that carries nor any that it carried for; `way` skips where there is no wire."""
    with run(sys.executable, "-c", HOLD, cwd=ROOT) as test:
        assert test.stdout is not None
        made = [Path("/proc") / pid for pid in test.stdout.readline().split()]
        assert all(process.exists() for process in made)
        test.send_signal(signal.SIGKILL)
        until(lambda: not any(process.exists() for process in made), what="the end of the wire")
