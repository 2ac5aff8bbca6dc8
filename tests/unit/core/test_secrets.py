"""Secrets go out of every text; what is none stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.core.errors import Failed
from segue.core.secrets import HIDDEN, Secrets

NAMES = (
    "SECRET_KEY",
    "API_TOKEN",
    "DB_PASSWORD",
    "aws_secret_access_key",
    "SENTRY_DSN",
    "KEY",
    "SSH_PASSPHRASE",
    "GOOGLE_CREDENTIALS",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_value_whose_name_says_so_is_hidden(name: str) -> None:
    assert Secrets({name: "hunter2"}).hide("it is hunter2, hunter2!") == f"it is {HIDDEN}, {HIDDEN}!"


@pytest.mark.parametrize(
    "line",
    [
        "TOKEN=X-hunter2-X",
        "export TOKEN='X-hunter2-X'",
        ' TOKEN = "X-hunter2-X"  ',
        "A=1\nTOKEN=X-hunter2-X\n",
    ],
)
def test_the_env_file_has_secrets_too(line: str) -> None:
    assert Secrets({}, line).hide("X-hunter2-X") == HIDDEN


def test_the_shortest_secret_and_one_that_begins_like_another_and_one_in_its_quotes_are_hidden_whole() -> (
    None
):
    secrets = Secrets({"A_TOKEN": "abcdef", "B_TOKEN": "abcdef-and-more", "C_TOKEN": "one\ttwo"})
    assert secrets.hide("abcdef abcdef-and-more 'one\\ttwo'") == f"{HIDDEN} {HIDDEN} '{HIDDEN}'"


def test_what_is_no_secret_or_short_stays() -> None:
    text = "in /home/ann: abcde failed, hunter2"
    assert Secrets({"HOME": "/home/ann", "TOKEN": "abcde", "NAME": "hunter2", "KEY": ""}).hide(text) == text


def test_the_password_of_any_url_is_hidden_and_so_it_is_apart_from_it() -> None:
    secrets = Secrets({"DATABASE_URL": "postgres://shop:p%40ssw0rd@db/shop"})
    assert secrets.hide("postgres://shop:p%40ssw0rd@db/shop") == f"postgres://shop:{HIDDEN}@db/shop"
    assert secrets.hide("wrong password p@ssw0rd") == f"wrong password {HIDDEN}"
    assert Secrets({}).hide("pip: https://me:x@host/simple") == f"pip: https://me:{HIDDEN}@host/simple"
    assert Secrets({}).hide("http://127.0.0.1:8000/a@b") == "http://127.0.0.1:8000/a@b"


def test_a_key_of_many_lines_is_hidden_line_by_line() -> None:
    secrets = Secrets({"PRIVATE_KEY": "first-line\nsecond-line\n"})
    assert secrets.hide("second-line\nfirst-line\nthird-line") == f"{HIDDEN}\n{HIDDEN}\nthird-line"


def test_errors_and_events_keep_their_names_and_ids() -> None:
    secrets = Secrets({"TOKEN": "20261121"})
    error = secrets.hide_in_error(Failed("check", "at 20261121", evidence="20261121", hint="20261121"))
    assert error.exit_code == 1
    assert error.as_dict() == {
        "kind": "check", "message": f"at {HIDDEN}", "evidence": HIDDEN, "hint": HIDDEN,
    }  # fmt: skip
    event = {
        "deploy": "20261121T1-a.1",
        "text": "20261121",
        "error": {"kind": "a", "evidence": "20261121"},
        "n": 1,
    }
    assert secrets.hide_in_event(event) == {
        "deploy": "20261121T1-a.1", "text": HIDDEN, "error": {"kind": "a", "evidence": HIDDEN}, "n": 1,
    }  # fmt: skip


@pytest.mark.parametrize("key", ["message", "evidence", "hint", "text", "detail"])
def test_the_free_text_of_an_event_is_one_of_these(key: str) -> None:
    assert Secrets({"TOKEN": "20261121"}).hide_in_event({key: "on 20261121"}) == {key: f"on {HIDDEN}"}


# without those of the word that is shown instead
characters = st.characters(exclude_characters=HIDDEN)


@given(st.text(characters, min_size=6), st.text(characters), st.text(characters))
def test_no_secret_survives_in_any_text_not_even_as_python_shows_it(
    secret: str, before: str, after: str
) -> None:
    hidden = Secrets({"TOKEN": secret}).hide(before + secret + repr(secret) + after)
    assert secret not in hidden
    assert repr(secret)[1:-1] not in hidden
