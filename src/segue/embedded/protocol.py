"""What askers and the keeper say to each other: one JSON document a line, over a unix socket.

The asker sends one request, ``{"version", "verb", "args", "by"}``, and may send ``{"verb": "cancel"}`` after.
The keeper answers with any number of ``{"event": ...}`` and one last line, ``{"document": ..., "exit_code": ...}``.
"""

from __future__ import annotations

import json
from typing import Any

LONGEST_LINE = 65536
REQUEST_TIMEOUT = 10.0


def encode(document: dict[str, Any]) -> bytes:
    """`document` as one line."""
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The document on `line`.

    Raises:
        ValueError: there is none.
    """
    document = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError("a request is a JSON object")
    return document
