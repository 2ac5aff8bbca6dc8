"""What is wrong with a generation that does not get ready: one sentence, evidence, hint."""

from __future__ import annotations

import re
from typing import Any

from segue.core.durations import format_duration
from segue.core.errors import Failed
from segue.run.generation import EVIDENCE_LINES, Generation
from segue.run.stacks import app_frames

LOG_LINES = 400
_MEND_CONFIG = "mend gunicorn.conf.py; `gunicorn --check-config MODULE:APP` in the project shows the same"
_REFUSALS = {
    "gunicorn_config": ("The release's gunicorn.conf.py failed.", _MEND_CONFIG),
    "server_args": (
        "The server refused its arguments.",
        "mend server_args, or the server's variables in the environment",
    ),
    "startup": ("The app's own startup failed.", "its lifespan said so; the release never saw a request"),
    "boot": ("A worker failed to import the app.", "the release never saw a request"),
}
_WORKER_RAISED = re.compile(r"Exception in worker process\n(.*?)(?=^\[|\Z)", re.MULTILINE | re.DOTALL)
_GUNICORN_REFUSED = re.compile(r"^(?:Invalid value for |Error: ).*", re.MULTILINE | re.DOTALL)


def trouble_of(generation: Generation, *, late: bool) -> Failed | None:
    """Why `generation` will not be ready; None while it still may be.

    Args:
        generation: the candidate.
        late: whether its time is up.
    """
    for answer in generation.checks():
        if late or answer["settled"]:
            return _unhealthy(answer, generation)
    refused = generation.refused()
    if refused is not None:
        message, hint = _REFUSALS.get(refused["kind"], _REFUSALS["boot"])
        return Failed(refused["kind"], message, evidence=refused["evidence"], hint=hint)
    master = generation.master()
    if master is None or not master.alive():
        return _exited(generation)
    if generation.crashes():
        return crashed(generation)
    return _late(generation) if late else None


def crashed(generation: Generation) -> Failed:
    """A worker of `generation` died."""
    held = sum(crash["held"] for crash in generation.crashes())
    what = f", holding {held} request{'s' * (held != 1)}" if held else ""
    return Failed(
        "crash",
        f"A worker of {generation.name} died{what}.",
        evidence=generation.log_tail(),
        hint="it was killed, ran out of memory or ended itself: see the end of its log above",
    )


def unborn(generation: Generation) -> str:
    """What a worker of `generation` that could not boot said last, else the end of its log."""
    return raised_in(generation.log_tail(LOG_LINES)) or generation.log_tail()


def raised_in(log: str) -> str:
    """What the last worker raised in `log`; empty where none did."""
    found = _WORKER_RAISED.findall(log)
    return app_frames(found[-1]) if found else ""


def _exited(generation: Generation) -> Failed:
    log, whole = generation.log_tail(LOG_LINES), f"its whole log: {generation.whole_log}"
    if raised := raised_in(log):
        return Failed("boot", f"A worker of {generation.name} failed to start.", evidence=raised, hint=whole)
    invalid = _GUNICORN_REFUSED.search(log)
    if invalid is not None:
        return Failed(
            "gunicorn_config",
            "Gunicorn refused the release's settings.",
            evidence=invalid[0],
            hint=_MEND_CONFIG,
        )
    evidence = generation.log_tail() or "it printed nothing"
    return Failed("boot", f"{generation.name} exited before it was ready.", evidence=evidence, hint=whole)


def _late(generation: Generation) -> Failed:
    timeout = generation.start()["ready_timeout"]
    return Failed(
        "ready_timeout",
        f"{generation.name} was not ready within {format_duration(timeout)}.",
        evidence=generation.log_tail(),
        hint="if it needs longer to start, raise ready_timeout in segue.toml",
    )


def _unhealthy(answer: dict[str, Any], generation: Generation) -> Failed:
    path, status = answer["path"], answer["status"]
    lines = [f"GET {path}", f"Host: {answer['host']}", f"scheme: {answer['scheme']}", f"answer: {status}"]
    if answer.get("location"):
        lines.append(f"redirects to: {answer['location']}")
    if answer.get("release"):
        lines.append(f"answered as release: {answer['release']}")
    if answer.get("traceback"):
        lines += ["", answer["traceback"]]
    elif status[:1] == "5":
        # frameworks catch what the app raises, and log it
        lines += ["", *_last_words(generation)]
    kind, message, hint = _reading(path, status, answer)
    return Failed(kind, message, evidence="\n".join(lines), hint=hint)


def _last_words(generation: Generation) -> tuple[str, str]:
    """Its last traceback, else the end of its log."""
    _, found, words = generation.log_tail(LOG_LINES).rpartition("Traceback (most recent call last):")
    if found:
        return "its log, from its last traceback:", f"{found}{words}"
    return "the end of its log:", "\n".join(words.splitlines()[-EVIDENCE_LINES:])


def _reading(path: str, status: str, answer: dict[str, Any]) -> tuple[str, str, str]:
    if status.startswith("no answer"):
        return "check", f"The check {path} gave {status}.", "the stack above shows where it hangs"
    if status[:1] == "2":
        message = f"The check {path} was answered by another release, {answer['release']}."
        return "wrong_release", message, "does the app pass the check on to something else?"
    if status[:1] == "3":
        hint = "set check to the path it leads to, or check_host or check_scheme to what the app expects"
        return "check", f"The check {path} answered with a redirect ({status}).", hint
    if status[:3] == "404":
        return (
            "check",
            f"The check {path} answered {status}.",
            'set check = "/…" in segue.toml to a path that exists',
        )
    return (
        "check",
        f"The check {path} answered {status}.",
        "the release is not healthy; it never saw a user's request",
    )
