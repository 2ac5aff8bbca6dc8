"""A receipt as a page says it: the numbers are the receipt's, and nothing in it is markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from tests.support.receipts import HOSTILE, NEW, OLD, receipt, refused, steps, timeline

from segue.page.pages import history_page, receipt_page
from segue.page.timeline import NEW as NEW_SIDE
from segue.page.timeline import OLD as OLD_SIDE
from segue.page.view import view_of
from segue.page.words import milliseconds, moment


def figures(told: dict[str, object]) -> dict[str, str]:
    return {figure.name: figure.value for figure in view_of(told, None).figures}


def test_the_numbers_on_top_are_the_receipts() -> None:
    assert figures(receipt()) == {
        "Lost": "0", "Slowest": "12 ms", "Longest gap": "41 ms", "Took": "6.2 s",
    }  # fmt: skip
    more = figures(receipt(lost={"by_probe": 1, "held_by_crashed": 2}, drained=1234, cut=1))
    errors = {"errors": 9, "requests": 41, "latency_ms": {}}
    assert figures(refused(watch={"old": errors, "new": errors}))["Server errors"] == "9"
    assert {"Lost": "3", "Crashed": "2", "Drained": "1,234", "Cut": "1"}.items() <= more.items()


def test_what_nobody_measured_is_not_nothing() -> None:
    assert figures(receipt(traffic=None))["Lost"] == "—"
    assert figures(receipt(traffic=None, lost={"by_probe": 0, "held_by_crashed": 2}))["Lost"] == "2"


def test_both_sides_stand_in_order_with_their_own_percentiles() -> None:
    shown = view_of(receipt(), timeline()).shown
    assert shown is not None
    assert [(side.role, side.name) for side in shown.sides] == [(OLD_SIDE, OLD), (NEW_SIDE, NEW)]
    assert sum(side.answers for side in shown.sides) == shown.sent == len(shown.rows) == 300
    assert not shown.is_thinned
    assert shown.plot["turns"][0] == ["switch", pytest.approx(2.692)]


def test_a_restart_has_two_sides_of_one_release() -> None:
    again = {**timeline(), "sides": [OLD, f"{OLD[:-2]}.2"]}
    told = receipt(generation=f"{OLD[:-2]}.2", release=OLD[:-2])
    shown = view_of(told, {**again, "latency_ms": {}}).shown
    assert shown is not None
    assert [side.role for side in shown.sides] == [OLD_SIDE, NEW_SIDE]


def test_failures_are_told_with_who_failed() -> None:
    shown = view_of(refused(), timeline(failing=True)).shown
    assert shown is not None
    failed = [row for row in shown.rows if row.failed]
    assert len(failed) == shown.failures > 0
    assert {row.outcome for row in failed} == {"status_500"}
    assert {row.role for row in failed} == {NEW_SIDE}


def test_changes_say_what_is_other_and_why_there_may_be_none() -> None:
    changes = {change.name: change for change in view_of(receipt(), None).changes}
    assert changes["Commits"].lines[0] == "8c1f2e9 Show the price with tax"
    assert changes["Dependencies"].lines == ("httpx 0.28.1 (added)", "flask 3.1.0 → 3.1.2 (changed)")
    assert changes["Migrations"].lines == ("1 migration: 4f2a expand",)
    assert changes["Environment"].lines == ("PAYMENT_URL added; CACHE_SIZE changed",)
    rolled = receipt(verb="rollback", changes=None, steps=[one for one in steps() if one["name"] == "boot"])
    for change in view_of(rolled, None).changes:
        assert not change.lines
    assert "on disk" in view_of(rolled, None).changes[1].none
    nothing = [{**one, "detail": "nothing to migrate"} for one in steps() if one["name"] == "migrate"]
    assert not view_of(receipt(steps=nothing), None).changes[3].lines


def test_steps_that_were_not_reached_say_so() -> None:
    told = {step.name: step for step in view_of(refused(), None).steps}
    assert (told["watch"].status, told["commit"].status, told["commit"].took) == (
        "failed",
        "not reached",
        "—",
    )


@pytest.mark.parametrize("lacking", ["changes", "hooks", "drained", "app", "target", "strategy", "watch"])
def test_receipts_of_an_earlier_segue_still_show(lacking: str) -> None:
    told = {key: value for key, value in refused().items() if key != lacking}
    told["steps"] = [{key: value for key, value in one.items() if key != "at_s"} for one in told["steps"]]
    assert "not kept one by one" in receipt_page(told, None)


class Parsed(HTMLParser):
    """What a browser would make of a page: its elements, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"], attrs

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_text_of_others_is_never_markup() -> None:
    evil = HOSTILE
    told = refused(
        app=evil, by=evil, notes=[evil], verb=evil, started_at=evil,
        changes={"code": evil, "commits": [evil], "added": [evil], "env": evil},
        hooks=[{"hook": evil, "command": evil, "status": evil, "printed": evil}],
        error={"kind": evil, "message": evil, "evidence": evil, "hint": evil},
        steps=[{**one, "name": evil, "detail": evil} for one in steps()],
    )  # fmt: skip
    told["traffic"]["samples"] = [{"kind": evil, "detail": evil, "shot": evil}, "no sample"]
    kept = {**timeline(), "outcomes": [evil, evil], "sides": [evil, NEW], "latency_ms": {}}
    page = receipt_page(told, kept)
    parsed, plain = Parsed(page), Parsed(receipt_page(receipt(), timeline()))
    assert "img" not in parsed.tags
    assert parsed.tags.count("script") == plain.tags.count("script") == 3
    # neither the letter that turns the text around nor the half of one is left
    shown = evil.replace("\u202e\ud800", r"\u202e\ud800")
    assert shown != evil
    assert shown in parsed.text
    assert not {"\u202e", "\ud800"} & set(page)
    assert "{{ 7 * 7 }}" in page
    history = Parsed(history_page(evil, evil, [told], [evil]))
    assert {"img", "script"}.isdisjoint(history.tags)


def test_the_picture_is_drawn_from_the_timeline() -> None:
    page = receipt_page(receipt(), timeline())
    data = re.search(r'<script type="application/json" id="timeline">(.*?)</script>', page)
    assert data is not None
    assert json.loads(data[1])["points"] == timeline()["points"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "—"), (0.0, "0.0 ms"), (3.64, "3.6 ms"), (84.4, "84 ms"), (1340.0, "1.3 s")],
)
def test_milliseconds_for_people(value: float | None, shown: str) -> None:
    assert milliseconds(value) == shown


def test_a_time_that_is_none_is_shown_as_it_is() -> None:
    assert moment("2026-11-21T08:34:55.000+02:00").shown == "2026-11-21 06:34:55 UTC"
    assert (moment("yesterday").shown, moment("yesterday").machine) == ("yesterday", "")
