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
            "phase": "",
            "needs": [f"a{number - 1}"],
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
    assert 'phase = "post"' in error.value.hint


def phased(*phases: tuple[str, str]) -> dict[str, Any]:
    """What was found of revisions of such a class and phase, one after the other."""
    document = found(*(kind for kind, _ in phases))
    for one, (_, phase) in zip(document["pending"], phases, strict=True):
        one["phase"] = phase
    return document


def test_what_is_allowed_waits_for_the_end_of_the_old_code() -> None:
    judged = judge("alembic", found("expand", "contract", "unreadable"), lives=LIVE, allowed=True)
    assert (judged.now.revisions, judged.later.revisions) == (("a0",), ("a1", "a2"))
    assert judged.later.contracting == {"a1", "a2"}
    assert list(judged.notes("R")) == [
        f"once {LIVE} has stopped: a1_.py:1: a1 does 1 (contract)",
        f"once {LIVE} has stopped: a2_.py:2: a2 does 2 (unreadable)",
        "from then on no rollback goes back past R",
    ]
    alone = judge("alembic", found("contract"), lives=None, allowed=False)
    assert (alone.now.revisions, alone.later.revisions, list(alone.notes("R"))) == (("a0",), (), [])
    assert not judge("alembic", found("expand"), lives=LIVE, allowed=False).now.contracting


def test_a_revision_may_say_itself_when_it_runs() -> None:
    told = phased(("unreadable", "pre"), ("expand", ""), ("contract", "post"))
    judged = judge("alembic", told, lives=LIVE, allowed=False)
    assert (judged.now.revisions, judged.later.revisions) == (("a0", "a1"), ("a2",))
    # who says that the old code can live with it says that it can be gone back to, but for a contract
    assert not judged.now.contracting
    assert f'phase = "pre": a0_.py:0: a0 does 0 (unreadable) while {LIVE} serves' in judged.notes("R")
    assert judge("alembic", phased(("contract", "pre")), lives=LIVE, allowed=True).now.contracting == {"a0"}
    # and it is so with --allow-contract as well
    assert judge("alembic", told, lives=LIVE, allowed=True) == judged
    assert judge("alembic", told, lives=None, allowed=False).now.revisions == ("a0", "a1", "a2")
    with pytest.raises(Failed, match="a0 has the phase 'psot', and there is none such") as error:
        judge("alembic", phased(("expand", "psot")), lives=None, allowed=True)
    assert error.value.kind == "phase"


def test_what_is_to_run_first_must_not_come_after_what_runs_last() -> None:
    for document, allowed in (
        (phased(("contract", "post"), ("expand", "")), False),
        (found("contract", "expand"), True),
    ):
        with pytest.raises(Failed) as error:
            judge("alembic", document, lives=LIVE, allowed=allowed)
        assert error.value.kind == "order"
        assert error.value.message == (
            f"Revision a1 is for before the switch, and comes after a0, which runs once {LIVE} has stopped."
        )
        assert "deploy in two: the first without a1" in error.value.hint
    # of another branch, or another app of Django's, it is free to go first
    free = phased(("contract", "post"), ("expand", ""))
    free["pending"][1]["needs"] = ["a"]
    judged = judge("django", free, lives=LIVE, allowed=False)
    assert (judged.now.revisions, judged.later.revisions) == (("a1",), ("a0",))


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
