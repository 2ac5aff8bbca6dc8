"""What may be run while the old code serves, and in which words the rest is refused."""

from __future__ import annotations

from typing import Any

import pytest

from segue.core.errors import Failed
from segue.deploy.judge import is_undone, judge, raised

LIVE = "20261120T000000-0000000.1"


def found(*classes: str, **words: Any) -> dict[str, Any]:
    pending = [
        {
            "revision": f"a{number}",
            "class": kind,
            "why": f"does {number}",
            "where": f"a{number}_.py:{number}",
            "atomic": True,
        }
        for number, kind in enumerate(classes)
    ]
    return {"heads": ["a9"], "current": ["a"], "unknown": [], "pending": pending, **words}


@pytest.mark.parametrize(
    ("classes", "kind", "message"),
    [
        (("expand", "contract", "contract"), "contract", f"Revision a1 does 1, and {LIVE} serves still."),
        (("unreadable", "contract"), "contract", f"Revision a1 does 1, and {LIVE} serves still."),
        (
            ("expand", "unreadable"),
            "unreadable",
            f"Whether {LIVE} can live with revision a1 can't be read: it does 1.",
        ),
    ],
)
def test_what_the_old_code_can_not_live_with_is_refused(
    classes: tuple[str, ...], kind: str, message: str
) -> None:
    with pytest.raises(Failed) as error:
        judge("alembic", found(*classes), lives=LIVE, allowed=False)
    assert (error.value.kind, error.value.message) == (kind, message)
    assert "a1_.py:1: a1 does 1" in error.value.evidence
    assert "--allow-contract" in error.value.hint


def test_allowed_it_is_told_and_without_old_code_there_is_nothing_to_tell() -> None:
    judged = judge("alembic", found("expand", "contract"), lives=LIVE, allowed=True)
    assert judged.contracts
    assert list(judged.notes("R")) == [
        f"--allow-contract: a1_.py:1: a1 does 1 (contract) while {LIVE} serves",
        "from here on no rollback goes back past R",
    ]
    alone = judge("alembic", found("contract"), lives=None, allowed=False)
    assert (alone.revisions, list(alone.notes("R"))) == (("a0",), [])
    assert not judge("alembic", found("expand"), lives=LIVE, allowed=False).contracts


def test_several_heads_and_a_database_that_is_ahead_are_refused_even_when_allowed() -> None:
    with pytest.raises(Failed, match="have 2 heads") as heads:
        judge("flask-migrate", found(heads=["b1", "b2"]), lives=None, allowed=True)
    assert "flask db merge heads" in heads.value.hint
    with pytest.raises(Failed, match="ahead of the release, at zz") as ahead:
        judge("alembic", found(current=["zz"], unknown=["zz"]), lives=None, allowed=True)
    assert ahead.value.evidence == "database: zz\nrelease: a9"


@pytest.mark.parametrize(
    ("transactional", "atomic", "now", "undone", "words"),
    [
        (True, True, ["a"], True, "the database undid it: it is at a, as before."),
        (True, True, ["b"], False, "half-way: the database is at b now, and was at a."),
        (True, False, ["a"], False, "it is at a now, and was at a; what it did before that stays"),
        (False, True, ["b"], False, "it is at b now, and was at a; what it did before that stays"),
        (False, True, [], False, "it is at no revision now"),
        (True, True, None, False, "it is at nobody knows what now"),
    ],
)
def test_a_failed_run_says_plainly_where_the_database_is(
    transactional: bool, atomic: bool, now: list[str] | None, undone: bool, words: str
) -> None:
    done = {
        "kind": "raised",
        "message": "KeyError: 1",
        "evidence": "Traceback",
        "where": "a1_.py:7",
        "before": ["a"],
        "current": now,
        "transactional": transactional,
    }
    error = raised(done, atomic=atomic)
    assert is_undone(done, atomic=atomic) is undone
    assert words.replace("it is", "the database is") in error.message.replace("it is", "the database is")
    assert error.evidence == "at a1_.py:7: KeyError: 1\n\nTraceback"


@pytest.mark.parametrize("kind", ["locked", "changed", "unreachable", "anything else"])
def test_whatever_else_fails_has_its_sentence(kind: str) -> None:
    done = {
        "kind": kind,
        "message": "no route",
        "evidence": "Traceback",
        "where": "",
        "before": [],
        "current": [],
    }
    assert is_undone(done, atomic=True)
    assert raised(done).message.endswith(".")
    assert raised(done).hint
