"""Servers that are not Gunicorn: what each could do by itself, and why segue does not have it do that."""

from __future__ import annotations

from pathlib import Path

from segue.core.errors import Refused

SHOWN = 2  # words of a command line; behind them there may be secrets
_WAY_OUT = (
    "`segue setup` serves it blue-green: the new release boots beside the old one, which drains and leaves"
)
_REASONS = {
    "uvicorn": (
        "Uvicorn loses requests when a worker leaves, and by no signal does it wait for the new one.",
        """\
a worker that is told to stop closes kept-alive connections at once: of 20 requests that were on their
way to it then none was answered; `--workers N` with SIGHUP replaces each of them so""",
    ),
    "granian": (
        "Granian replaces its workers by itself, and nobody has seen that it loses nothing then.",
        """\
SIGHUP has its main process replace the workers; segue knows no signal for one worker more, by which the
new code could be seen to accept before an old worker leaves""",
    ),
    "uwsgi": (
        "uWSGI is reloaded by its own master, not from outside.",
        """\
with lazy-apps and a master-fifo its chain reload (`c`) replaces one worker after the other, without asking
whether the new code boots; without lazy-apps requests wait for the import""",
    ),
}


def refusal_of(unit: str, argv: tuple[str, ...]) -> Refused:
    """Why a service that runs `argv` is not reloaded, and the way out."""
    name = _server_of(argv)
    if name is None:
        return Refused(
            "server",
            f"The main process of {unit} is no app server that segue knows.",
            evidence=" ".join(argv[:SHOWN]),
            hint="segue reload is for Gunicorn; is it behind a wrapper? Then `exec` it",
        )
    message, evidence = _REASONS[name]
    return Refused("server", message, evidence=f"{unit}: {' '.join(argv[:SHOWN])}\n{evidence}", hint=_WAY_OUT)


def _server_of(argv: tuple[str, ...]) -> str | None:
    words = [Path(word).name for word in argv[:4]]
    return next((name for name in _REASONS if name in words), None)
