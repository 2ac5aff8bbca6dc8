"""A receipt's verdict and counts in words: the same on a terminal and on a page."""

from __future__ import annotations

from typing import Any

from segue.core.errors import Stranded


def receipt_id(receipt: dict[str, Any]) -> str:
    """What the receipt goes by: its generation, or that it is an earlier one of it."""
    name: str = receipt.get("id") or receipt["generation"]
    return name


def lost_requests(receipt: dict[str, Any]) -> int:
    """The requests that the deploy lost, as far as anybody saw."""
    return int(receipt["lost"]["by_probe"] + receipt["lost"]["held_by_crashed"])


def was_measured(receipt: dict[str, Any]) -> bool:
    """Whether anybody saw what the deploy did to requests."""
    return bool(receipt.get("traffic") or lost_requests(receipt))


def verdict_of(receipt: dict[str, Any]) -> str:
    """What became of the release, what serves, and what it cost, on one line."""
    lost = lost_requests(receipt)
    requests = (
        f"{lost} request{'s' * (lost != 1)} lost" if was_measured(receipt) else "no request was measured"
    )
    if receipt["ok"]:
        return f"{receipt['release']} is live; {requests}"
    if any(step["name"] == "contract" and step["status"] == "failed" for step in receipt["steps"]):
        return f"{receipt['release']} is live, and its database needs you; {requests}"
    serves = f"{receipt['previous']} serves" if receipt.get("previous") else "nothing serves"
    if receipt.get("exit_code") == Stranded.exit_code:
        return f"{receipt['release']} could not be taken back: look now; {requests}"
    taken_back = served(receipt) or receipt["error"]["kind"] == "interrupted"
    fate = f"was taken back{_after_errors(receipt)}" if taken_back else "was refused"
    return f"{receipt['release']} {fate}; {serves}; {requests}"


def _after_errors(receipt: dict[str, Any]) -> str:
    # an error is an answer, so that none of them counts as lost
    errors = receipt["watch"]["new"]["errors"] if receipt.get("watch") else 0
    return f" after {errors} error{'s' * (errors != 1)}" if errors else ""


def served(receipt: dict[str, Any]) -> bool:
    """Whether users' requests ever came to the release."""
    return any(step["name"] in ("switch", "flip") and step["status"] == "done" for step in receipt["steps"])


def side_of_watch(counts: dict[str, Any]) -> str:
    """What one generation served during the watch."""
    p95 = counts["latency_ms"].get("p95")
    latency = "" if p95 is None else f", p95 under {p95:.0f} ms"
    return f"{counts['errors']} errors in {counts['requests']} requests{latency}"
