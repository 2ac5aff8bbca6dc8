"""Numbers and times as a page shows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from segue.core.durations import format_duration

NOTHING = "—"
_SECOND = 1000
_TENTHS = 10


# control characters, those that turn the direction of all text that follows, and halves of characters
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(text: str) -> str:
    """`text` with what nobody sees made visible, as an escape."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


@dataclass(frozen=True)
class Moment:
    """An instant.

    Attributes:
        shown: for people.
        machine: for machines; empty where the receipt does not hold one.
    """

    shown: str
    machine: str = ""


def moment(text: str) -> Moment:
    """The instant that a receipt writes as `text`."""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return Moment(text)
    return Moment(f"{at:%Y-%m-%d %H:%M:%S} UTC", at.isoformat(timespec="seconds"))


def milliseconds(value: float | None) -> str:
    """A latency: ``"3.6 ms"``, ``"84 ms"``, ``"1.3 s"``; a dash for none."""
    if value is None:
        return NOTHING
    if value >= _SECOND:
        return format_duration(value / _SECOND)
    return f"{value:.1f} ms" if value < _TENTHS else f"{value:.0f} ms"


def seconds(value: float | None) -> str:
    """A place on the timeline: ``"3.42 s"``; a dash for none."""
    return NOTHING if value is None else f"{value:.2f} s"


def count(value: int) -> str:
    """A number of things: ``"12,345"``."""
    return f"{value:,}"
