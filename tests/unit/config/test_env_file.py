"""An environment file as systemd reads it, and where python-dotenv reads it otherwise."""

from __future__ import annotations

import pytest
from tests.support.env_files import NASTY

from segue.config.env_file import read_as_dotenv, read_as_systemd

OLD, NEW = 252, 257


@pytest.mark.parametrize(("text", "values"), NASTY.values(), ids=NASTY)
def test_each_rule_of_systemds(text: str, values: dict[str, str]) -> None:
    assert read_as_systemd(text, OLD) == values


def test_a_comment_goes_on_behind_a_backslash_only_before_254() -> None:
    text = "# one \\\nA=1\nB=2"
    assert read_as_systemd(text, 253) == {"B": "2"}
    assert read_as_systemd(text, 254) == {"A": "1", "B": "2"}
    assert (
        read_as_systemd("; a \\b \\\\\nA=1", OLD) == read_as_systemd("; a \\b \\\\\nA=1", NEW) == {"A": "1"}
    )


@pytest.mark.parametrize(
    "line",
    [
        "export A=1",
        "A=1 # one",
        r'A="a\tb"',
        "A=${HOME}",
        r"A=a\b",
        "A='it\\'s'",
        "A=\"a\"'b'",
        "; A=1\nA",
    ],
)
def test_some_lines_are_two_things_to_two_readers(line: str) -> None:
    assert read_as_systemd(line, NEW) != read_as_dotenv(line)


@pytest.mark.parametrize("line", ["A=1", "A='a b'", 'A="a b"', "A=", " A = 1 ", "# A=1", "A=x#y", "A=$HOME"])
def test_plain_lines_are_the_same_to_both(line: str) -> None:
    assert read_as_systemd(line, OLD) == read_as_systemd(line, NEW) == read_as_dotenv(line)


def test_a_key_that_no_environment_can_have_is_nobodys() -> None:
    text = "A-B=1\n1A=1\n\u00e4=1\nA.B=1\n"
    assert read_as_systemd(text, NEW) == read_as_dotenv(text) == {}
