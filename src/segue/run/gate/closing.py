"""When a worker that leaves, or stands aside, closes what would never end by itself."""

from __future__ import annotations

from . import files


def closing_times(now: float, number: int) -> list[float]:
    """When each of `number` endless streams is to be closed, so that their clients don't all come at once.

    They are spread from the end of the linger to a little before the end of the drain.
    """
    start = files.start()
    linger, drain = float(start["linger"]), float(start["drain_timeout"])
    last = max(linger, drain - max(0.5, drain / 10))
    return [now + linger + (last - linger) * (k + 1) / number for k in range(number)]
