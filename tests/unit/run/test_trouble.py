"""What is wrong with a generation: one sentence, the evidence, and a hint, from what lies in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segue.core.errors import Failed
from segue.disk.atomic import write_json
from segue.disk.processes import ProcessId, myself
from segue.run.generation import Generation
from segue.run.trouble import trouble_of

NAME = "20261121T013455-8c1f2e9.1"
CHECK = {"path": "/healthz", "host": "shop.example", "scheme": "http", "settled": True}


@pytest.fixture
def generation(tmp_path: Path) -> Generation:
    generation = Generation(NAME, tmp_path)
    times = {"ready_timeout": 60.0, "drain_timeout": 30.0}
    start = {"root": "/srv", "argv": [], "environ": {}, "unset": [], **times}
    write_json(tmp_path / "start.json", start)
    master_is(generation, myself())
    generation.log.write_text("starting\nlast words\n")
    return generation


def master_is(generation: Generation, master: ProcessId) -> None:
    write_json(generation.folder / "master.json", {"pid": master.pid, "started": master.started})


def end(generation: Generation) -> None:
    master_is(generation, ProcessId(myself().pid, 0))


def answered(generation: Generation, status: str, **more: Any) -> None:
    write_json(generation.folder / "check.7", {**CHECK, "status": status, **more})


def trouble(generation: Generation, *, late: bool = False) -> Failed:
    found = trouble_of(generation, late=late)
    assert found is not None
    assert found.message.endswith(".")
    assert found.message.count("\n") == 0
    assert found.evidence
    return found


def test_what_may_still_get_ready_has_no_trouble(generation: Generation) -> None:
    assert trouble_of(generation, late=False) is None
    answered(generation, "503 Starting", settled=False)
    assert trouble_of(generation, late=False) is None


def test_time_that_is_up_is_told_with_the_log(generation: Generation) -> None:
    found = trouble(generation, late=True)
    assert found.kind == "ready_timeout"
    assert "within 60.0 s" in found.message
    assert "last words" in found.evidence
    assert "ready_timeout" in found.hint


@pytest.mark.parametrize(
    ("answer", "kind", "message", "hint"),
    [
        ({"status": "404 Not Found"}, "check", "answered 404 Not Found", "set check"),
        ({"status": "302 Found", "location": "/login"}, "check", "a redirect (302 Found)", "check_scheme"),
        ({"status": "500 Oh"}, "check", "answered 500 Oh", "not healthy"),
        ({"status": "no answer in 5 s", "traceback": "here"}, "check", "no answer in 5 s", "where it hangs"),
        (
            {"status": "200 OK", "release": "other"},
            "wrong_release",
            "another release, other",
            "pass the check on",
        ),
    ],
)
def test_an_unhealthy_answer_is_told_with_the_question(
    generation: Generation, answer: dict[str, str], kind: str, message: str, hint: str
) -> None:
    answered(generation, **answer)
    found = trouble(generation)
    assert found.kind == kind
    assert message in found.message
    assert hint in found.hint
    assert "GET /healthz\nHost: shop.example\nscheme: http\n" in found.evidence
    assert all(word in found.evidence for word in answer.values())


def test_an_answer_that_might_change_is_told_once_time_is_up(generation: Generation) -> None:
    answered(generation, "503 Starting", settled=False)
    assert "503 Starting" in trouble(generation, late=True).message


def test_a_master_that_ended_is_told_with_its_last_words(generation: Generation) -> None:
    end(generation)
    found = trouble(generation)
    assert found.kind == "boot"
    assert "last words" in found.evidence
    assert str(generation.log) in found.hint


def test_a_bad_config_is_told_with_its_own_traceback(generation: Generation) -> None:
    end(generation)
    write_json(generation.folder / "refused.json", {"kind": "gunicorn_config", "evidence": "NameError: x"})
    found = trouble(generation)
    assert (found.kind, found.evidence) == ("gunicorn_config", "NameError: x")


@pytest.mark.parametrize(
    ("held", "words"), [(0, "died."), (1, "holding 1 request."), (2, "holding 2 requests.")]
)
def test_a_worker_that_died_is_told_with_what_it_held(generation: Generation, held: int, words: str) -> None:
    write_json(generation.folder / "crashed.7", {"held": held, "at": 0.0})
    found = trouble(generation)
    assert found.kind == "crash"
    assert found.message.endswith(words)
