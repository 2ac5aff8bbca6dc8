"""What a worker that leaves, or stands aside, closes, and when: all that would never end by itself."""

from __future__ import annotations

import select
from typing import Any

from . import files


def closing_times(now: float, number: int) -> list[float]:
    """When each of `number` endless streams is to be closed, so that their clients don't all come at once.

    They are spread from the end of the linger to a little before the end of the drain.
    """
    start = files.start()
    linger, drain = float(start["linger"]), float(start["drain_timeout"])
    last = max(linger, drain - max(0.5, drain / 10))
    return [now + linger + (last - linger) * (k + 1) / number for k in range(number)]


def has_come(connection: Any) -> bool:
    """Whether something has come on a socket that nobody has read yet, be it the client's end."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
