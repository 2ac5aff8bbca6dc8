"""What askers and the keeper say to each other: one JSON document a line, over a unix socket.

The asker sends one request, ``{"version", "verb", "args", "by"}``, and may send ``{"verb": "cancel"}`` after;
for a command on a terminal, ``{"verb": "typed", "bytes"}`` and ``{"verb": "resized", "rows", "columns"}``.
The keeper answers with any number of ``{"event": ...}`` and one last ``{"document": ..., "exit_code": ...}``.
Both have to be of the same version, but for one verb: `HANDOVER`, with the arg ``wait``, is what any later
version says to any earlier one, so neither it nor the form of its answer can change.
"""

from __future__ import annotations

import json
import os
from typing import Any

LONGEST_LINE = 65536
REQUEST_TIMEOUT = 10.0
HANDOVER = "handover"

_ARGS = {
    "rev": str, "path": str, "strategy": str, "to": str, "wait": bool, "dry_run": bool,
    "allow_contract": bool, "workers": int,
    "follow": bool, "lines": int, "timeline": bool,
    "term": str, "rows": int, "columns": int,
}  # fmt: skip
_KINDS = {str: "text", bool: "true or false", int: "number"}


def encode(document: dict[str, Any]) -> bytes:
    """`document` as one line."""
    return json.dumps(document).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The document on `line`.

    Raises:
        ValueError: there is none.
    """
    try:
        document = json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("a request is a JSON object")  # noqa: TRY004 - for the caller it is bad input like any other
    return document


def check_args(args: Any) -> dict[str, Any]:
    """`args`, where they are what a verb may be given; a null is as good as nothing.

    Raises:
        ValueError: they are not.
    """
    if not isinstance(args, dict):
        raise ValueError("a request's args are an object")  # noqa: TRY004 - it is text from outside, no call
    for name, value in args.items():
        wanted = _ARGS.get(name)
        if wanted is None:
            raise ValueError(f"there is no arg {name[:40]!r}")
        if value is not None and not (type(value) is wanted and _can_be_passed_on(str(value))):
            raise ValueError(f"the arg {name!r} is no {_KINDS[wanted]}")
    return args


def _can_be_passed_on(text: str) -> bool:
    """Whether `text` can be a file's name or a program's argument."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
