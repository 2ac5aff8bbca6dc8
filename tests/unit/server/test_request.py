"""A request comes from a user who is not root: whatever is odd about it is refused, and nothing done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.build.source import Source
from segue.config.schema import AppConfig
from segue.core.contract import Contract
from segue.core.errors import Refused, UsageError
from segue.server.request import Request, read_request

CONFIG = AppConfig.model_validate({"name": "shop", "watch": "2s", "check": "/healthz"})
SOURCE = Source(
    Path("/home/deploy/shop"),
    "8c1f2e9" + "0" * 33,
    "8c1f2e9",
    dirty=False,
    git=True,
    log=("8c1f2e9 Sell tea",),
)
CONTRACT = Contract.of({"PORT": "int?"}, {"SECRET_KEY": "change-me"})
REQUEST = Request("shop", "deploy", {"wait": True}, "ann", CONFIG, SOURCE, "wsgi:app", (), CONTRACT)
GOOD: dict[str, Any] = REQUEST.as_dict()


def test_a_request_comes_back_from_its_line() -> None:
    found = read_request(json.loads(json.dumps(GOOD)))
    assert found == REQUEST
    assert found.source
    assert found.source.log == SOURCE.log


def test_a_look_needs_no_config() -> None:
    look = Request("shop", "status", {}, "ann")
    assert read_request(look.as_dict()) == look


@pytest.mark.parametrize(
    "change",
    [
        {"verb": "exec"},
        {"verb": None},
        {"app": "a" * 201},
        {"app": "shop\n"},
        {"by": ["ann"]},
        {"extra": 1},
        {"args": {"command": "id"}},
        {"args": {"to": "a\0b"}},
        {"args": []},
        {"module": "os:system('id')\n"},
        {"module": "-c:x"},
        {"config": {"name": "shop", "bind": "x"}},
        {"config": {"name": "shop", "unconfined": ["PrivateTmp"]}},
        {"config": {"name": "shop", "user": "root"}},
        {"config": []},
        {"contract": None},
        {"contract": [{"key": "A"}]},
        {"contract": [{"key": "A\n", "kind": "url", "example": None, "configured": True}]},
        {"contract": [{"key": "A", "kind": "uuid", "example": None, "configured": True}]},
        {"source": {}},
        {"source": "here"},
        *(
            {"source": {**GOOD["source"], **wrong}}
            for wrong in (
                {"folder": "shop"},
                {"folder": "/home/deploy/sh\nop"},
                {"revision": "--upload-pack=id"},
                {"revision": "../../x"},
                {"commit": "HEAD"},
                {"commit": "8c1f2e9;id"},
                {"dirty": "no"},
                {"log": None},
            )
        ),
    ],
)
def test_what_is_odd_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="That is no request"):
        read_request({**GOOD, **change})


def test_what_another_python_takes_for_a_letter_is_a_space_here() -> None:
    log = ["8c1f2e9 a\x1b[31m", "8c1f2e9 " + "a" * 200, *["8c1f2e9 a"] * 60]
    source = read_request({**GOOD, "source": {**GOOD["source"], "log": log}}).source
    assert source is not None
    assert (source.log[0], len(source.log[1]), len(source.log)) == ("8c1f2e9 a [31m", 160, 50)


@pytest.mark.parametrize("version", [None, "0.0.1", 3, "x" * 1000])
def test_another_version_is_refused(version: object) -> None:
    with pytest.raises(Refused, match="and this is segue"):
        read_request({**GOOD, "version": version})


@given(
    st.dictionaries(
        st.sampled_from(sorted(GOOD)) | st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
            ),
            max_leaves=4,
        ),
    )
)
def test_no_json_ends_in_anything_but_a_request_or_a_refusal(damage: dict[str, Any]) -> None:
    try:
        read_request({**GOOD, **damage})
    except (UsageError, Refused):
        return
