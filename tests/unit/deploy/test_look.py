"""Which receipt a name leads to; a generation that was kept warm may have several."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.receipts import NEW, RELEASE, receipt

from segue.core.errors import UsageError
from segue.core.ids import earlier_id
from segue.deploy.look import history_document, receipt_document
from segue.disk.atomic import write_json
from segue.disk.home import Home

EARLIER = earlier_id(NEW, 1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Where `NEW` was deployed, and is being brought in again."""
    home = Home(tmp_path)
    home.create()
    write_json(home.receipt(NEW), receipt())
    home.set_receipt_aside(NEW)
    return home


def test_who_waits_for_a_receipt_is_not_told_an_earlier_one_of_the_same_generation(home: Home) -> None:
    with pytest.raises(UsageError):
        receipt_document(home, NEW, timeline=False)
    write_json(home.receipt(NEW), receipt(verb="rollback"))
    assert receipt_document(home, NEW, timeline=False)["verb"] == "rollback"


def test_an_earlier_receipt_goes_by_a_name_of_its_own(home: Home) -> None:
    write_json(home.receipt(NEW), receipt(verb="rollback"))
    found = receipt_document(home, EARLIER, timeline=True)
    assert (found["id"], found["verb"], found["timeline"]) == (EARLIER, "deploy", None)
    listed = history_document(home, timelines=False)["receipts"]
    assert {(one["verb"], one.get("id")) for one in listed} == {("rollback", None), ("deploy", EARLIER)}


def test_a_release_leads_to_the_last_of_its_receipts(home: Home) -> None:
    assert receipt_document(home, RELEASE, timeline=False)["id"] == EARLIER
    assert receipt_document(home, None, timeline=False)["id"] == EARLIER
