"""Receipts and timelines as deploys leave them, for tests that show them."""

from __future__ import annotations

from typing import Any

from segue.proof.timeline import Timeline

RELEASE = "20261121T063409-8c1f2e9"
NEW, OLD = f"{RELEASE}.1", "20261121T063406-51d0b7a.1"
AT = "2026-11-21T06:34:09.120+00:00"
SIDE = {"requests": 420, "errors": 0, "latency_ms": {"p50": 1.0, "p95": 4.1}}
STEPS = [
    ("env", 0.002, "2 keys as the app needs them"),
    ("build", 1.31, "31 files"),
    ("import", 0.32, "WSGI app, for Gunicorn 27.0.1"),
    ("migrate", 0.41, "1 migration: 4f2a expand"),
    ("boot", 0.48, ""),
    ("ready", 0.16, "2 workers"),
    ("switch", 0.001, ""),
    ("watch", 3.0, "62 answers by the new release, 139 by the old one"),
    ("commit", 0.004, ""),
    ("drain", 0.47, ""),
    ("prune", 0.001, ""),
]
# what somebody may have put where text of others ends up
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"' & {{ 7 * 7 }} \u202e\ud800"


def steps(failed: str | None = None) -> list[dict[str, Any]]:
    """The steps of a deploy, until the one that `failed`."""
    told, at, status = [], 0.01, "done"
    for name, seconds, detail in STEPS:
        if status == "failed":
            status = "skipped"
        elif status == "done" and name == failed:
            status = "failed"
        reached = status != "skipped"
        told.append(
            {
                "name": name,
                "status": status,
                "seconds": seconds if reached else 0.0,
                "at_s": round(at, 3) if reached else None,
                "detail": detail if status == "done" else "",
            }
        )
        at += seconds
    return told


def receipt(**changes: Any) -> dict[str, Any]:
    """The receipt of a good deploy, but for `changes`."""
    return {
        "ok": True, "exit_code": 0, "verb": "deploy", "app": "shop", "target": "local", "strategy": "handoff",
        "release": RELEASE, "generation": NEW, "previous": OLD, "by": "ann", "started_at": AT, "seconds": 6.2,
        "steps": steps(),
        "traffic": {
            "url": "http://127.0.0.1:8000/healthz", "rate": 50.0, "sent": 300, "ok": 300, "failed": 0,
            "failures": {}, "longest_gap_ms": 41.2, "samples": [], "spoilt": False, "lag_ms": 3.0,
            "latency_ms": {"p50": 3.1, "p95": 6.0, "p99": 8.8, "max": 12.4},
        },
        "watch": {"old": SIDE, "new": {**SIDE, "requests": 187}},
        "lost": {"by_probe": 0, "held_by_crashed": 0}, "drained": 0, "cut": 0, "notes": [], "hooks": [],
        "changes": {
            "code": "the files of /home/ann/shop (changed since 8c1f2e9)",
            "commits": ["8c1f2e9 Show the price with tax", "77aa01c Ask for the postcode first"],
            "added": ["httpx 0.28.1"], "changed": ["flask 3.1.0 → 3.1.2"], "removed": [],
            "env": "PAYMENT_URL added; CACHE_SIZE changed",
        },
        "error": None,
        **changes,
    }  # fmt: skip


def refused(**changes: Any) -> dict[str, Any]:
    """The receipt of a deploy that was taken back in its watch, with three requests lost."""
    error = {
        "kind": "watch",
        "message": f"{NEW} is worse than {OLD}: it answered with more server errors.",
        "evidence": "old:    0 of 139 requests failed\nnew:    9 of 41 requests failed\n\n"
        'Traceback (most recent call last):\n  File "/srv/shop/pages.py", line 31, in home\n'
        "    return render(cart.total / cart.count)\nZeroDivisionError: division by zero",
        "hint": "it was taken back; set auto_rollback = false to commit a release whatever the watch sees",
    }
    samples = [{"at_s": 3.1, "kind": "status_500", "detail": "a full answer", "shot": "GET /healthz"}] * 3
    told = receipt()
    traffic = {**told["traffic"], "ok": 297, "failed": 3, "failures": {"status_500": 3}, "samples": samples}
    return {
        **told, "ok": False, "exit_code": 1, "error": error, "steps": steps("watch"), "traffic": traffic,
        "lost": {"by_probe": 3, "held_by_crashed": 0}, **changes,
    }  # fmt: skip


def timeline(*, failing: bool = False, requests: int = 300, seconds: float = 6.2) -> dict[str, Any]:
    """Requests of which the new release answers every other one from the middle of the deploy on."""
    kept = Timeline()
    for number in range(requests):
        at = number * seconds / requests
        is_new = at > seconds / 2 and (number % 2 == 0 or at > seconds * 0.92)
        took = 0.002 + 0.0015 * ((number * 7919) % 13) / 4 + (0.012 if number % 97 == 50 else 0)
        outcome = "status_500" if failing and is_new and number % 40 == 0 else "ok"
        kept.add(at, at + took, outcome, NEW if is_new else OLD)
    return kept.as_dict()
