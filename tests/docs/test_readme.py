"""The README's tour is run as it stands: every file written, every command run, every line of output seen.

In its section, ```LANGUAGE NAME is a file, ```console holds commands after `$ ` and what they print,
`segue up` stays in a terminal of its own, and `echo $?` tells the exit code of the command before it.
"""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.site import Site, until

README = Path(__file__).parents[2] / "README.md"
SECTION = "## A five-minute tour\n"
ADDRESS = "127.0.0.1:8000"
START_TIMEOUT, COMMAND_TIMEOUT, STOP_TIMEOUT = 60.0, 60.0, 20.0

BLOCK = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# what is another at every run, and what a busy machine adds
VARYING = (
    (re.compile(r"\d{8}T\d{6}-\w+"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+\S*"), "WHEN"),
    (re.compile(r" \(the probe itself was late: .*\)"), ""),
    (re.compile(r"\b[\d.]+ (ms|s|min)\b"), "TIME"),
    (re.compile(r"\d+"), "N"),
    (re.compile(r"\s+"), " "),
)


@dataclass
class Command:
    """A command of the tour, and what the README says comes of it."""

    words: str
    output: list[str] = field(default_factory=list)
    code: int = 0


def blocks() -> list[tuple[str, str, str]]:
    """The tour's blocks: language, name, text."""
    _, found, rest = README.read_text(encoding="utf-8").partition(SECTION)
    assert found, f"the README has no {SECTION!r}"
    return BLOCK.findall(rest.partition("\n## ")[0])


def commands(text: str) -> list[Command]:
    """The commands of one console block."""
    found: list[Command] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line.removeprefix("$ ")))
        else:
            found[-1].output.append(line)
    for before, after in itertools.pairwise(found):
        if after.words == "echo $?":
            before.code = int(after.output[0])
    return [command for command in found if command.words != "echo $?"]


def plain(line: str, user: str) -> str:
    """`line` without what differs from run to run."""
    line = re.sub(rf"/\S+/tea\b|\b(you|{re.escape(user)})\b", "", line)
    for pattern, word in VARYING:
        line = pattern.sub(word, line)
    return line.strip()


def demand_output(command: Command, printed: str, user: str) -> None:
    """Every line that the README shows was printed, in its order."""
    lines = iter([plain(line, user) for line in printed.splitlines()])
    for line in command.output:
        wanted = plain(line, user)
        assert wanted in lines, f"{command.words} did not print {line!r}, or not there, but:\n{printed}"


@dataclass
class Tour:
    """A project that follows the README, and the keeper that it starts."""

    folder: Path
    user: str
    stack: contextlib.ExitStack
    port: int
    up: Command | None = None

    def write(self, name: str, text: str) -> None:
        """One file of the project."""
        (self.folder / name).write_text(self._here(text), encoding="utf-8")

    def run(self, command: Command) -> None:
        """One command: its exit code and its output are what the README says."""
        if command.words.startswith("segue up"):
            self.up = command
            self.site = self.stack.enter_context(keeping(self.folder, self._here(command.words)))
            return
        done = subprocess.run(
            ("sh", "-c", self._here(command.words)),
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
        assert done.returncode == command.code, f"{command.words}:\n{done.stdout}"
        demand_output(command, done.stdout, self.user)

    def _here(self, text: str) -> str:
        return text.replace(ADDRESS, f"127.0.0.1:{self.port}")


def environment() -> dict[str, str]:
    """The environment in which `segue` is the one under test."""
    return {**os.environ, "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))}


@contextlib.contextmanager
def keeping(folder: Path, words: str) -> Iterator[Site]:
    """`segue up` in its own terminal, once it serves; at the end it and all that it started are gone."""
    log = folder.parent / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            shlex.split(words),
            cwd=folder,
            env=environment(),
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    site = Site(folder.resolve(), process, log)
    try:
        until(lambda: process.poll() is not None or site.home.read_keeper(), START_TIMEOUT, "a keeper")
        until(lambda: process.poll() is not None or site.at_rest(), START_TIMEOUT, "serving")
        assert process.poll() is None, site.keeper_log()
        yield site
    finally:
        masters = site.masters()
        if process.poll() is None:
            process.kill()
        process.wait(STOP_TIMEOUT)
        for master in masters:
            master.signal(signal.SIGKILL)
        until(lambda: not site.masters(), what="the end of all masters")


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.timeout(200)
def test_the_tour_goes_as_the_readme_says(tmp_path: Path) -> None:
    """From an empty folder to Ctrl-C."""
    folder = tmp_path / "tea"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        tour = Tour(folder, getpass.getuser(), stack, free_port())
        for language, name, text in blocks():
            if language != "console":
                tour.write(name, text)
                continue
            for command in commands(text):
                tour.run(command)
        assert tour.up is not None
        os.kill(tour.site.process.pid, signal.SIGINT)
        assert tour.site.process.wait(STOP_TIMEOUT) == 0
        demand_output(tour.up, tour.site.keeper_log(), tour.user)
        assert not tour.site.masters()


def test_every_test_that_the_promises_name_is_there() -> None:
    """A promise without its test is none."""
    root = README.parent
    named = re.findall(
        r"`(tests/\S+\.py)(?:::(\w+))?`", (root / "docs/promises.md").read_text(encoding="utf-8")
    )
    assert named, "no test is named"
    for path, test in named:
        assert f"def {test}(" in (root / path).read_text(encoding="utf-8") if test else (root / path).exists()
