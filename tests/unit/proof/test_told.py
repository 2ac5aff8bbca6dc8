"""The one line that most people read of a receipt: it hides nothing that users met."""

from __future__ import annotations

import pytest
from tests.support.receipts import SIDE, receipt, refused

from segue.proof.told import verdict_of


@pytest.mark.parametrize(("errors", "told"), [(0, ""), (1, " after 1 error"), (9, " after 9 errors")])
def test_a_release_that_users_met_is_told_with_its_errors(errors: int, told: str) -> None:
    watched = {"old": SIDE, "new": {**SIDE, "errors": errors}}
    one = refused(watch=watched, lost={"by_probe": 0, "held_by_crashed": 0})
    fate = f"{one['release']} was taken back{told}"
    assert verdict_of(one) == f"{fate}; {one['previous']} serves; 0 requests lost"


def test_one_that_was_taken_back_before_its_watch_has_none() -> None:
    assert " was taken back; " in verdict_of(refused(watch=None))


def test_one_that_is_live_stays_so() -> None:
    one = receipt(watch={"old": SIDE, "new": {**SIDE, "errors": 2}})
    assert verdict_of(one) == f"{one['release']} is live; 0 requests lost"
