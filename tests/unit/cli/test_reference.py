from pathlib import Path

import click
import pytest

from segue.cli.main import VERBS, cli
from segue.cli.reference import PAGE_FILE, reference_page
from segue.core.errors import ERRORS_BY_EXIT_CODE, SegueError

ROOT = Path(__file__).parents[3]


def test_the_committed_page_is_what_is_generated() -> None:
    stale = "run: python -m segue.cli.reference --write"
    assert (ROOT / PAGE_FILE).read_text(encoding="utf-8") == reference_page(), stale


@pytest.mark.parametrize("name", VERBS)
def test_each_word_of_a_verb_is_on_the_page_and_means_something(name: str) -> None:
    section = reference_page().partition(f"\n## segue {name}\n")[2].partition("\n## ")[0]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help
    assert command.help.partition("\n")[0] in section
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, f"{param.opts} say nothing of themselves"
            assert all(f"{word}" in section for word in param.opts)


def test_every_exit_code_is_on_the_page() -> None:
    codes = reference_page().partition("\n## Exit codes\n")[2]
    assert {error.exit_code for error in SegueError.__subclasses__()} == set(ERRORS_BY_EXIT_CODE)
    for code, error in ERRORS_BY_EXIT_CODE.items():
        assert f"\n| {code} | {error.__doc__} |\n" in codes
