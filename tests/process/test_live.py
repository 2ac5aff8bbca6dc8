"""`segue status --live` and receipts as pages, of an app that really serves."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.bad import append
from tests.support.site import SEGUE, Site, configure, demand_no_loss, serving, traffic, until

COLUMNS = 80
ROUNDED = 0.002  # seconds; the times of a page are whole milliseconds, or nearly


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("live") / "project"
    make_app(folder, version="v1")
    configure(folder, workers=2)
    with serving(folder) as site:
        yield site


class Terminal:
    """`segue status --live` on a terminal of 80 columns."""

    def __init__(self, folder: Path) -> None:
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ["TERM"] = "xterm"
            os.execv(sys.executable, (*SEGUE, "status", "--live"))
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        self.seen = ""

    def shows(self, what: str) -> bool:
        while select.select([self.screen], [], [], 0)[0]:
            try:
                self.seen += os.read(self.screen, 65536).decode()
            except OSError:
                break
        return re.search(what, self.text) is not None

    @property
    def text(self) -> str:
        """What was shown, without the words that move the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen)

    def end(self, key: str) -> int:
        os.write(self.screen, key.encode())
        deadline = time.monotonic() + 20
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.shows("")
            assert time.monotonic() < deadline, self.text
            time.sleep(0.02)
        os.close(self.screen)
        return os.waitstatus_to_exitcode(ended[1])


@pytest.mark.parametrize("key", ["q", "\x03"], ids=["q", "ctrl-c"])
def test_status_goes_on_on_a_terminal_until_a_key(site: Site, key: str) -> None:
    with traffic(f"{site.url}/", rate=50) as load:
        terminal = Terminal(site.folder)
        until(lambda: terminal.shows(r"live +2 +[3-5]\d\.\d +0 +<"), what="a rate")
        assert terminal.end(key) == 0
    demand_no_loss(load)
    lines = terminal.text.splitlines()
    assert max(map(len, lines)) <= COLUMNS, lines
    assert any(line.startswith("sample, local; phase: rest") for line in lines)


def test_in_a_pipe_it_is_a_line_a_second(site: Site) -> None:
    argv = (*SEGUE, "status", "--live")
    with subprocess.Popen(
        argv,
        cwd=site.folder,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert lines[0].split() == ["TIME", "GENERATION", "ROLE", "WORKERS", "REQ/S", "5XX", "P95"]
    assert all(re.match(r"\d\d:\d\d:\d\d  \S+\.1 +live +2 ", line) for line in lines[1:]), lines


def test_it_is_one_or_the_other(site: Site) -> None:
    assert site.segue("status", "--live", "--json").code == 2
    assert site.segue("receipt", "--open", "--json").code == 2


def test_a_page_has_what_the_receipt_of_its_deploy_has(site: Site, tmp_path: Path) -> None:
    make_app(site.folder, version="v2")
    with traffic(f"{site.url}/") as load:
        told = site.deploy()
    demand_no_loss(load)
    kept = json.loads(site.home.timeline(told["generation"]).read_text())
    assert kept["sent"] == len(kept["points"]) == told["traffic"]["sent"]
    assert {told["generation"], told["previous"]} <= set(kept["sides"])
    # requests stand where the phases do: the new release answers after the switch, and not before
    switch = next(step["at_s"] for step in told["steps"] if step["name"] == "switch")
    new = kept["sides"].index(told["generation"])
    answered = [at + ms / 1000 for at, ms, _, side in kept["points"] if side == new]
    assert switch - ROUNDED < min(answered) < told["seconds"]
    assert 0 <= kept["points"][0][0] < kept["points"][-1][0] <= told["seconds"]

    page = site.segue("receipt", "--html", "-").out
    rows = page.split('<table id="rows">')[1].split("</table>")[0].count("<tr>") - 1
    assert rows == told["traffic"]["sent"]
    assert f"{told['release']} is live; 0 requests lost" in page
    file = tmp_path / "receipt.html"
    done = site.segue("receipt", told["generation"], "--html", str(file))
    assert (done.code, done.out) == (0, f"{file}\n")
    assert file.read_text() == page
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_page_is_opened_where_there_is_a_browser(site: Site, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    bare = {
        key: value
        for key, value in os.environ.items()
        if key not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    }
    shown = site.segue("receipt", "--open", env={**bare, "BROWSER": f"{browser} %s"})
    assert shown.code == 0, shown
    path = Path(shown.out.strip())
    until(seen.exists, what="the browser")
    assert seen.read_text().strip() == path.as_uri()
    assert path.is_relative_to(site.home.pages)
    alone = site.segue("receipt", "--open", env=bare)
    assert (alone.code, alone.out) == (0, shown.out)
    assert "there is no browser here" in alone.err


def test_the_history_leads_to_every_receipt(site: Site) -> None:
    append(site.folder, "raise RuntimeError('</script><b>no</b>')")
    assert site.segue("deploy").code == 1
    make_app(site.folder, version="v3")
    shown = site.segue("history", "--html")
    index = Path(shown.out.strip())
    assert (shown.code, index.name) == (0, "index.html")
    links = re.findall(r'<a href="([^"]+)">', index.read_text())
    receipts = json.loads(site.segue("history", "--json").out)
    assert links == [f"{one['generation']}.html" for one in receipts]
    assert all('<a href="index.html">' in (index.parent / link).read_text() for link in links)
    refused = (index.parent / links[0]).read_text()
    assert "&lt;/script&gt;&lt;b&gt;no&lt;/b&gt;" in refused
    assert "<b>no" not in refused
    assert site.segue("status").code == 0


def test_a_page_that_can_not_be_written_is_refused(site: Site) -> None:
    outcome = site.segue("receipt", "--html", "/nowhere/receipt.html")
    assert (outcome.code, "can't be written" in outcome.err) == (3, True), outcome
