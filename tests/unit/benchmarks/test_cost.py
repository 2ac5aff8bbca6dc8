"""Whose time is whose in a deploy, and how a figure is shown."""

from __future__ import annotations

import pytest
from benchmarks.cost import Figure, between_steps, own_seconds, until_switch

RECEIPT = {
    "seconds": 4.0,
    "steps": [
        {"name": "build", "seconds": 0.5, "at_s": 0.1},
        {"name": "boot", "seconds": 1.0, "at_s": 0.75},
        {"name": "ready", "seconds": 0.25, "at_s": 1.75},
        {"name": "switch", "seconds": 0.25, "at_s": 2.0},
        {"name": "watch", "seconds": 1.0, "at_s": 2.25},
        {"name": "drain", "seconds": 0.5, "at_s": 3.25},
    ],
}


def test_boot_watch_and_drain_are_not_segues_own() -> None:
    assert own_seconds(RECEIPT, wall=4.25) == pytest.approx(1.5)
    assert between_steps(RECEIPT) == pytest.approx(0.5)


def test_the_boot_is_not_counted_to_the_switch() -> None:
    assert until_switch(RECEIPT) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("figure", "row"),
    [
        (Figure("this", [0.1, 0.3, 0.2], 0.2), "| this | 0.20 (0.10 to 0.30) | 3 | ≤ 0.2 | yes |"),
        (Figure("this", [0.1, 0.3, 0.2], 0.1), "| this | 0.20 (0.10 to 0.30) | 3 | ≤ 0.1 | **no** |"),
        (Figure("that", [2], digits=0), "| that | 2 | 1 |  |  |"),
    ],
)
def test_a_row_says_whether_the_target_is_met(figure: Figure, row: str) -> None:
    assert figure.row() == row
