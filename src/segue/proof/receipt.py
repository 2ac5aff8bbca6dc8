"""The receipt: what one deploy did, measured and decided."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.core.errors import SegueError
from segue.core.plan import Plan
from segue.disk.atomic import read_json
from segue.disk.forms import MAYBE_NUMBER, MAYBE_TEXT, Form

# `at_s`: receipts of segue 0.1.0 may have none
STEP: dict[str, Form] = {
    **dict.fromkeys(("name", "status", "detail"), str),
    "seconds": float,
    "at_s": MAYBE_NUMBER,
}
HOOK: Form = dict.fromkeys(("hook", "command", "status", "printed"), str)
TRAFFIC: Form = {
    **dict.fromkeys(("sent", "failed"), int),
    "failures": dict,
    "latency_ms": {"max": MAYBE_NUMBER},
    "longest_gap_ms": float,
}
_SIDE: Form = {"requests": int, "errors": int, "latency_ms": {"p95": MAYBE_NUMBER}}
_LINES: Form = ([str], None)
_CHANGES: Form = {
    **dict.fromkeys(("commits", "added", "removed", "changed"), _LINES),
    **dict.fromkeys(("code", "env"), MAYBE_TEXT),
}
_RECEIPT: Form = {
    "ok": bool,
    "exit_code": int,
    **dict.fromkeys(("verb", "release", "generation", "by", "started_at"), str),
    "previous": MAYBE_TEXT,
    "seconds": float,
    "steps": [STEP],
    "traffic": (TRAFFIC, None),
    "watch": ({"old": _SIDE, "new": _SIDE}, None),
    "lost": {"by_probe": int, "held_by_crashed": int},
    "drained": (int, None),  # receipts of segue 0.1.0 have none
    "cut": int,
    "notes": [str],
    "hooks": ([HOOK], None),  # those of segue 0.1.0 have none
    "changes": (_CHANGES, None),
    "error": ({"kind": str, "message": str}, None),
}


def read_receipt(path: Path) -> dict[str, Any] | None:
    """The receipt in `path`, as `Receipt.as_dict` wrote it; None where there is none.

    Raises:
        ValueError: it is damaged.
    """
    document: dict[str, Any] | None = read_json(path, _RECEIPT)
    if document is not None and document["ok"] is not (document["error"] is None):
        raise ValueError("it is ok, and has an error, or neither")
    return document


@dataclass(frozen=True)
class Receipt:
    """What is kept of a deploy, whether it went well or was taken back.

    Attributes:
        plan: what was to be done.
        by: who asked for it.
        started_at: when it began, UTC.
        seconds: how long it took, the drain included.
        steps: name, status, seconds, beginning (seconds after `started_at`) and detail of every step.
        notes: what people should know though nothing failed.
        hooks: place, command, status and the last lines of the output of every hook that ran.
        changes: what is other than in the release that served before: commits, packages, names of env keys.
        watched: what both generations served during the watch.
        traffic: the probe's report; None where nothing served before.
        held_by_crashed: requests that workers of both generations held when they died, those of a candidate
            also when they were killed because it was taken back: lost.
        drained: streams and WebSockets of the old generation that were closed in order when it left.
        cut: requests of the old generation that outlasted the drain.
        error: why it was taken back; None when it went well.
    """

    plan: Plan
    by: str
    started_at: str
    seconds: float
    steps: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    hooks: tuple[dict[str, str], ...]
    changes: dict[str, Any]
    watched: dict[str, Any] | None
    traffic: dict[str, Any] | None
    held_by_crashed: int
    drained: int
    cut: int
    error: SegueError | None

    @property
    def ok(self) -> bool:
        """Whether the release is live."""
        return self.error is None

    @property
    def exit_code(self) -> int:
        """The exit code of the command that asked for it."""
        return 0 if self.error is None else self.error.exit_code

    def as_dict(self) -> dict[str, Any]:
        """The receipt as ``--json`` prints it and the disk keeps it."""
        plan = self.plan.as_dict()
        return {
            "ok": self.ok,
            "exit_code": self.exit_code,
            **{
                key: plan[key]
                for key in ("verb", "app", "target", "strategy", "release", "generation", "previous")
            },
            "by": self.by,
            "started_at": self.started_at,
            "seconds": self.seconds,
            "steps": list(self.steps),
            "traffic": self.traffic,
            "watch": self.watched,
            "lost": {
                "by_probe": (self.traffic or {}).get("failed", 0),
                "held_by_crashed": self.held_by_crashed,
            },
            "drained": self.drained,
            "cut": self.cut,
            "notes": list(self.notes),
            "hooks": list(self.hooks),
            "changes": self.changes,
            "error": None if self.error is None else self.error.as_dict(),
        }
