"""The pages hold what they say: the tutorial is run as it stands, links lead somewhere, named tests exist.

In the tutorial every file is written, every command run, and every line of output seen; `segue up` stays in a
terminal of its own.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.nginx import free_port
from tests.support.pages import CONSOLE, PAGES, ROOT, Command, anchors, blocks, commands, demand_output, links
from tests.support.site import Site, until

TUTORIAL, FIRST_SERVER = ROOT / "docs/tutorial.md", ROOT / "docs/first-server.md"
FOLDER, ADDRESS = "tea", "127.0.0.1:8000"
START_TIMEOUT, COMMAND_TIMEOUT, STOP_TIMEOUT = 60.0, 60.0, 20.0
# a text that shows how to name a test is none
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")

pages = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


@dataclass
class Tour:
    """A project that follows the tutorial, and the keeper that it starts."""

    folder: Path
    user: str
    stack: contextlib.ExitStack
    port: int
    up: Command | None = None

    def write(self, name: str, text: str) -> None:
        """One file of the project."""
        (self.folder / name).write_text(self._here(text), encoding="utf-8")

    def run(self, command: Command) -> None:
        """One command: its exit code and its output are what the page says."""
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
        demand_output(command, done.stdout, FOLDER, self.user)

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


@pytest.mark.timeout(200)
def test_the_tutorial_goes_as_it_says(tmp_path: Path) -> None:
    """From an empty folder to Ctrl-C."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        tour = Tour(folder, getpass.getuser(), stack, free_port())
        for block in blocks(TUTORIAL):
            if block.name:
                tour.write(block.name, block.text)
            for command in commands(block.text) if block.language == CONSOLE else ():
                tour.run(command)
        assert tour.up is not None
        os.kill(tour.site.process.pid, signal.SIGINT)
        assert tour.site.process.wait(STOP_TIMEOUT) == 0
        demand_output(tour.up, tour.site.keeper_log(), FOLDER, tour.user)
        assert not tour.site.masters()


def test_what_is_marked_as_a_console_is_run_by_a_test() -> None:
    """The tutorial here, the first server by tests/machine/test_first_server.py."""
    shown = {page for page in PAGES if any(block.language == CONSOLE for block in blocks(page))}
    assert shown == {TUTORIAL, FIRST_SERVER}


@pages
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    for path, test in NAMED_TEST.findall(page.read_text(encoding="utf-8")):
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8") if test else (ROOT / path).exists()


def test_the_promises_name_tests() -> None:
    """A promise without its test is none."""
    assert NAMED_TEST.search((ROOT / "docs/promises.md").read_text(encoding="utf-8"))


@pages
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """Within the repository: files, folders, and headings in pages. What is elsewhere is not asked for."""
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: {target.name} has no such heading"


def test_every_page_is_in_the_index() -> None:
    """Decisions and benchmarks are folders of their own."""
    index = ROOT / "docs/README.md"
    named = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert {page for page in (ROOT / "docs").glob("*.md") if page != index} <= named
