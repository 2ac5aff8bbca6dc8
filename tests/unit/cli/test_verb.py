"""What every verb shares: whatever goes wrong, one sentence and a documented exit code."""

from __future__ import annotations

import json

import click
from click.testing import CliRunner, Result

from segue.cli.verb import Verb


def end_of(error: Exception) -> Result:
    """How a verb ends that meets `error`."""

    @click.command(cls=Verb)
    @click.option("--json", "as_json", is_flag=True)
    def verb(*, as_json: bool) -> None:
        raise error

    return CliRunner().invoke(verb, ["--json"])


def test_a_file_of_somebody_elses_is_refused() -> None:
    result = end_of(PermissionError(13, "Permission denied", "/srv/shop/.segue/record.json"))
    assert result.exit_code == 3
    assert json.loads(result.stdout)["error"]["message"] == (
        "/srv/shop/.segue/record.json is not ours to read or write."
    )


def test_what_nobody_expected_is_our_bug() -> None:
    result = end_of(KeyError("live"))
    assert result.exit_code == 70
    assert json.loads(result.stdout)["error"]["kind"] == "bug"
