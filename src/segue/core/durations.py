"""Durations as people write them: ``"250ms"``, ``"30s"``, ``"2m"``, ``"1h"``."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds in `text`.

    Raises:
        ValueError: `text` is no number followed by ms, s, m or h.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'{text!r} is no duration: write a number and a unit, such as "30s", "250ms", "2m"')
    return float(match[1]) * _UNITS[match[2]]


def format_duration(seconds: float) -> str:
    """`seconds` for people: ``"84 ms"``, ``"3.2 s"``, ``"2 m 05 s"``."""
    if round(seconds * 1000) < 1000:  # noqa: PLR2004 - what would be shown as 1000 ms is shown as 1.0 s
        return f"{seconds * 1000:.0f} ms"
    seconds = round(seconds, 1)
    if seconds < 120:  # noqa: PLR2004 - two minutes: where seconds alone stop being easy to read
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} m {rest:02d} s"
