"""Errors go from process to process whole."""

from __future__ import annotations

import pytest

from segue.core.errors import (
    ERRORS_BY_EXIT_CODE,
    Bug,
    Failed,
    Interrupted,
    Refused,
    SegueError,
    Stranded,
    Unreachable,
    UsageError,
    error_from_dict,
)

WORDS = {"kind": "import", "message": "No.", "evidence": "line 1\nline 2", "hint": "do"}


@pytest.mark.parametrize("code", ERRORS_BY_EXIT_CODE)
def test_what_one_process_describes_another_raises(code: int) -> None:
    error = error_from_dict(WORDS, code)
    assert (type(error), error.exit_code) == (ERRORS_BY_EXIT_CODE[code], code)
    assert error.as_dict() == WORDS
    assert str(error) == "No."


def test_the_exit_codes_are_those_of_the_readme() -> None:
    errors = {1: Failed, 2: UsageError, 3: Refused, 4: Unreachable, 5: Stranded, 70: Bug, 130: Interrupted}
    assert errors == ERRORS_BY_EXIT_CODE
    assert SegueError.exit_code == 70


@pytest.mark.parametrize("code", [0, 4711])
def test_an_exit_code_that_nobody_knows_is_our_bug(code: int) -> None:
    assert type(error_from_dict(WORDS, code)) is Bug


def test_what_another_version_left_out_or_wrote_otherwise_is_made_good() -> None:
    nothing_said = {"kind": "bug", "message": "no message", "evidence": "", "hint": ""}
    assert error_from_dict({}, 1).as_dict() == nothing_said
    numbers = error_from_dict(dict.fromkeys(WORDS, 1), 1)
    assert numbers.as_dict() == dict.fromkeys(WORDS, "1")


def test_evidence_and_hint_may_be_missing_and_evidence_ends_where_its_text_does() -> None:
    assert Failed("boot", "No.").as_dict() == {"kind": "boot", "message": "No.", "evidence": "", "hint": ""}
    assert SegueError("boot", "No.", evidence="  the end\n\n").evidence == "  the end"
