"""Who answers now: over new connections, beside the probe's."""

from __future__ import annotations

import contextlib
import http.client
import time
from threading import Event
from urllib.parse import urlsplit

ASK_TIMEOUT = 10.0
TICK = 0.02
IN_A_ROW = 30
SETTLE_TIMEOUT = 20.0
LOOKS = 10
LOOK_TIMEOUT = 2.0


def version_at(url: str, timeout: float = ASK_TIMEOUT) -> str | None:
    """The version that answers now; None where none does within `timeout` seconds."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", "/", headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read().decode()
        return body if answer.status == http.HTTPStatus.OK else None
    return None


def first_answer(url: str, version: str, since: float, too_late: Event) -> float | None:
    """Seconds from `since`, on the monotonic clock, to an answer by `version`; None where it is too late."""
    while not too_late.wait(TICK):
        if version_at(url) == version:
            return time.monotonic() - since
    return None


def settle(url: str, version: str, timeout: float = SETTLE_TIMEOUT) -> bool:
    """Wait until `version` has answered many new connections in a row; whether it did."""
    deadline, row = time.monotonic() + timeout, 0
    while row < IN_A_ROW and time.monotonic() < deadline:
        row = row + 1 if version_at(url, 1.0) == version else 0
        time.sleep(TICK / 2)
    return row == IN_A_ROW


def who_answers(url: str) -> set[str | None]:
    """The versions that new connections meet; None is in it where some met nobody."""
    return {version_at(url, LOOK_TIMEOUT) for _ in range(LOOKS)}
