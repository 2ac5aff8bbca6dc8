"""The pages: one of a receipt, and one over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segue.core.durations import format_duration
from segue.page.render import render
from segue.page.view import Figure, view_of
from segue.page.words import NOTHING, Moment, count, milliseconds, moment
from segue.proof.told import lost_requests, receipt_id, was_measured

INDEX = "index.html"


@dataclass(frozen=True)
class Row:
    """One deploy of the history.

    Attributes:
        ok: whether its release went live.
        result: that in words, and on failure why.
        generation: what it brought in.
        link: its own page.
        verb, by: what was asked for, and by whom.
        started: when.
        lost: of how many requests how many were lost.
        lost_any: whether that is any.
        slowest, took: the slowest request, and the whole deploy.
    """

    ok: bool
    result: str
    generation: str
    link: str
    verb: str
    by: str
    started: Moment
    lost: str
    lost_any: bool
    slowest: str
    took: str


def receipt_page(receipt: dict[str, Any], timeline: dict[str, Any] | None, *, back: str = "") -> str:
    """The page of `receipt`, with a link `back` to the history where there is one."""
    return render("receipt.html", view=view_of(receipt, timeline), back=back)


def history_page(app: str, target: str, receipts: list[dict[str, Any]], damaged: list[str]) -> str:
    """The page over all `receipts`, newest first, that links to theirs; and what is `damaged`."""
    rows = tuple(_row(receipt) for receipt in receipts)
    return render(
        "history.html", app=app, target=target, rows=rows, figures=_figures(receipts), damaged=damaged
    )


def page_name(receipt: dict[str, Any]) -> str:
    """The file of a receipt's page, beside the history's."""
    return f"{receipt_id(receipt)}.html"


def _row(receipt: dict[str, Any]) -> Row:
    traffic, error = receipt.get("traffic"), receipt["error"]
    lost = count(lost_requests(receipt)) if was_measured(receipt) else NOTHING
    return Row(
        ok=receipt["ok"],
        result="live" if error is None else f"{error['kind']}: {error['message']}",
        generation=receipt["generation"],
        link=page_name(receipt),
        verb=receipt["verb"],
        by=receipt["by"] or NOTHING,
        started=moment(receipt["started_at"]),
        lost=f"{lost} / {count(traffic['sent'])}" if traffic else lost,
        lost_any=lost_requests(receipt) > 0,
        slowest=milliseconds(traffic["latency_ms"].get("max") if traffic else None),
        took=format_duration(receipt["seconds"]),
    )


def _figures(receipts: list[dict[str, Any]]) -> tuple[Figure, ...]:
    measured = [receipt["traffic"] for receipt in receipts if receipt.get("traffic")]
    live = sum(receipt["ok"] for receipt in receipts)
    lost = sum(map(lost_requests, receipts))
    slowest = [one["latency_ms"].get("max") for one in measured]
    return (
        Figure("Deploys", count(len(receipts)), f"{count(live)} went live"),
        Figure("Refused or taken back", count(len(receipts) - live), "did not go live"),
        Figure("Lost", count(lost), f"of {count(sum(one['sent'] for one in measured))} sent", bad=lost > 0),
        Figure(
            "Slowest", milliseconds(max((one for one in slowest if one is not None), default=None)), "of all"
        ),
    )
