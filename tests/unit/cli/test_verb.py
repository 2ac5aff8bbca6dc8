"""What every verb shares: whatever goes wrong, one sentence and a documented exit code."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from segue.cli.main import cli
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


WRONG_WORDS = {
    "an unknown option": (("deploy", "--force", "--json"), "No such option '--force'."),
    "an unknown verb": (("dploy", "--json"), "No such command 'dploy'."),
    "a word too many": (("restart", "local", "now", "--json"), "Got unexpected extra argument (now)"),
    "a choice that is none": (("probe", "--method", "PUT", "--json", "http://x"), "'PUT' is not one of"),
    "a word that lacks": (("probe", "--json"), "Missing argument 'URL'."),
}


@pytest.mark.parametrize("name", WRONG_WORDS)
def test_wrong_words_are_told_in_one_json_document(name: str) -> None:
    words, message = WRONG_WORDS[name]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert document["error"]["kind"] == "usage"
    assert message in document["error"]["message"]
    assert result.stderr.startswith(f"error: {document['error']['message']}\n")
    assert "--help` tells more" in result.stderr


def test_json_after_two_dashes_is_the_commands_own() -> None:
    result = CliRunner().invoke(cli, ["probe", "--rate", "x", "http://x", "--", "ls", "--json"])
    assert (result.exit_code, result.stdout) == (2, "")


def test_help_is_no_error() -> None:
    assert CliRunner().invoke(cli, ["deploy", "--help"]).exit_code == 0


@pytest.mark.parametrize(
    "words", [("deploy",), ("rollback", "--to", "x"), ("restart", "mars"), ("deploy", "-x")]
)
def test_a_deploy_that_did_not_begin_has_all_keys_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    document = json.loads(CliRunner().invoke(cli, (*words, "--json")).stdout)
    unknown = ("app", "target", "release", "generation", "previous", "strategy", "traffic")
    assert {key: document.pop(key) for key in unknown} == dict.fromkeys(unknown)
    assert document.pop("steps") == []
    assert set(document) == {"ok", "error"}
