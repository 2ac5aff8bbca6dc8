"""A receipt's page in a real browser: it reads well for everybody, and asks nobody for anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys
from tests.support import browser as browsers
from tests.support.browser import DESK, PHONE, Browser
from tests.support.receipts import HOSTILE, NEW, OLD, receipt, refused, timeline

from segue.page.pages import INDEX, history_page, receipt_page

pytestmark = pytest.mark.skipif(not (browsers.CHROMIUM and browsers.DRIVER), reason=browsers.MISSING)

EVIL = HOSTILE
HOSTILE_RECEIPT = refused(
    app=EVIL,
    by=EVIL,
    notes=[EVIL],
    hooks=[{"hook": "after_build", "command": EVIL, "status": "ended with status 0", "printed": EVIL}],
    changes={"code": EVIL, "commits": [EVIL, EVIL], "added": [EVIL], "env": EVIL},
    error={"kind": "check", "message": EVIL, "evidence": f"{EVIL}\n" * 40 + "x" * 3000, "hint": EVIL},
)
OLD_RECEIPT = {key: value for key, value in receipt().items() if key not in ("changes", "hooks", "drained")}
PAGES = {
    "good": receipt_page(receipt(), timeline(), back=INDEX),
    "refused": receipt_page(refused(), timeline(failing=True)),
    "hostile": receipt_page(HOSTILE_RECEIPT, {**timeline(failing=True), "outcomes": ["ok", EVIL]}),
    "thinned": receipt_page(receipt(seconds=62.0), timeline(requests=12_000, seconds=62.0)),
    "without_timeline": receipt_page(OLD_RECEIPT, None),
    "first": receipt_page(receipt(verb="up", previous=None, traffic=None, watch=None), None),
    "history": history_page(EVIL, "production", [refused(), receipt()], [f"{EVIL} is damaged"]),
}
DRAWN = ("good", "refused", "hostile", "thinned")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsers.browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, page in PAGES.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_it_reads_for_everybody_on_every_screen(chromium: Browser, folder: Path, name: str) -> None:
    for width, dark in ((DESK, False), (PHONE, True), (DESK, True), (PHONE, False)):
        chromium.open(folder / f"{name}.html", width=width, dark=dark)
        assert chromium.violations() == [], (width, dark)
        assert chromium.run("return document.documentElement.scrollWidth") <= width
        assert chromium.run("return document.querySelectorAll('h1').length") == 1
        levels = chromium.run(
            "return [...document.querySelectorAll('h1,h2,h3')].map(one => +one.localName[1])"
        )
        assert all(after - before <= 1 for before, after in pairwise(levels)), levels


@pytest.mark.parametrize("name", PAGES)
def test_it_asks_nobody_for_anything_and_runs_nothing_but_its_own(
    chromium: Browser, folder: Path, name: str
) -> None:
    path = folder / f"{name}.html"
    chromium.open(path)
    own = [url for url in chromium.requests() if url not in (path.as_uri(), "data:,")]
    assert (own, chromium.console()) == ([], [])
    assert chromium.run("return document.querySelectorAll('img').length") == 0
    assert (chromium.run("return typeof uPlot") == "function") == (name in DRAWN)


def test_what_a_policy_is_for_would_be_seen(chromium: Browser, tmp_path: Path) -> None:
    """The counterpart: text that got through as markup would be stopped, and the console would tell."""
    path = tmp_path / "evil.html"
    path.write_text(PAGES["good"].replace("</main>", "<script>document.title = 'mine'</script></main>"))
    chromium.open(path)
    assert chromium.run("return document.title") != "mine"
    assert any("Content Security Policy" in line for line in chromium.console())


@pytest.mark.parametrize("name", ["good", "refused"])
def test_the_table_has_what_the_timeline_has(chromium: Browser, folder: Path, name: str) -> None:
    kept = timeline(failing=name == "refused")
    chromium.open(folder / f"{name}.html", scripts=False)
    text = PAGES[name].split('<table id="rows">')[1].split("</table>")[0]
    assert text.count("<tr>") == len(kept["points"]) + 1
    chromium.open(folder / f"{name}.html")
    rows = chromium.run(
        "return [...document.querySelectorAll('#rows tbody tr')].map(row => "
        "[...row.cells].map(cell => cell.textContent))"
    )
    for (at, _, outcome, side), row in zip(kept["points"], rows, strict=True):
        assert row[0] == f"{at:.2f} s"
        assert row[2].endswith(kept["outcomes"][outcome])
        assert ("failed" in row[2]) == (outcome != 0)
        assert kept["sides"][side] in row[3]
    told = chromium.run("return document.querySelector('#percentiles').textContent")
    assert OLD in told
    assert NEW in told
    assert "Thinned" not in PAGES[name]


def test_a_page_says_that_it_was_thinned() -> None:
    assert re.search(r"Thinned:</strong> [\d,]+ of 12,000 requests are shown", PAGES["thinned"])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_failures_are_drawn_in_a_colour_that_nothing_else_has(
    chromium: Browser, folder: Path, dark: bool
) -> None:
    drawn = {}
    for name in ("good", "refused"):
        chromium.open(folder / f"{name}.html", dark=dark)
        drawn[name] = {mark: _drawn(chromium, mark) for mark in ("old", "new", "failed")}
    assert min(drawn["refused"].values()) > 50, drawn
    assert min(drawn["good"]["old"], drawn["good"]["new"]) > 50, drawn
    assert drawn["good"]["failed"] == 0, drawn


def _drawn(chromium: Browser, mark: str) -> int:
    """How many pixels of the picture have the colour of `mark`."""
    return int(
        chromium.run(
            """
            const plot = document.getElementById("plot"), canvas = plot.querySelector("canvas");
            const wanted = getComputedStyle(plot).getPropertyValue(`--${arguments[0]}`).trim().slice(1);
            const rgb = [0, 2, 4].map((at) => parseInt(wanted.slice(at, at + 2), 16));
            const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let found = 0;
            for (let at = 0; at < data.length; at += 4)
                if (rgb.every((value, index) => data[at + index] === value)) found += 1;
            return found;
            """,
            mark,
        )
    )


def test_everything_is_reached_and_told_by_keyboard(chromium: Browser, folder: Path) -> None:
    chromium.open(folder / "refused.html")
    reached = []
    for _ in range(12):
        chromium.press(Keys.TAB)
        reached.append(chromium.focused())
    stops = ("plot", "whole", "around", "summary")
    assert tuple(one for one in reached if one in stops)[:4] == stops
    outline = chromium.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    chromium.run("document.getElementById('plot').focus()")
    chromium.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert "Request 2 of 300" in _readout(chromium)
    chromium.press("f")
    assert "FAILED: status_500" in _readout(chromium)
    chromium.press(Keys.END)
    assert "Request 300 of 300" in _readout(chromium)
    assert NEW in _readout(chromium)


def _readout(chromium: Browser) -> str:
    return str(chromium.run("return document.getElementById('readout').textContent"))


def test_around_the_switch_and_back(chromium: Browser, folder: Path) -> None:
    chromium.open(folder / "good.html")
    before = _drawn(chromium, "old")
    chromium.run("document.getElementById('around').click()")
    assert _drawn(chromium, "old") < before
    chromium.run("document.getElementById('whole').click()")
    assert _drawn(chromium, "old") == before


def test_without_scripts_the_facts_are_there(chromium: Browser, folder: Path) -> None:
    chromium.open(folder / "good.html", scripts=False)
    tree = json.dumps(chromium.tell("DOMSnapshot.captureSnapshot", computedStyles=[])["strings"])
    assert "The 300 requests as a table" in tree
    chromium.tell("Emulation.setScriptExecutionDisabled", value=False)
    assert chromium.run("return document.getElementById('picture').hidden")


@pytest.mark.parametrize("name", PAGES)
def test_it_prints(chromium: Browser, folder: Path, name: str) -> None:
    chromium.open(folder / f"{name}.html", dark=True)
    pdf = chromium.pdf()
    assert pdf.startswith(b"%PDF-")
    assert len(pdf) > 5000
