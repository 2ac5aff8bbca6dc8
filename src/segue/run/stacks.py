"""What of a printed stack is the app's: how it came to be imported is of no use to anybody."""

from __future__ import annotations

import re

_MACHINERY = re.compile(
    r"""^\ \ File\ "(?:<frozen\ (?:importlib|runpy)       # the import system
        |[^"]*/python3[^/"]*/importlib/
        |[^"]*/(?:site|dist)-packages/(?:gunicorn|uvicorn)/
        |[^"]*/segue_gate/|/run/segue-reload/\w+/inside\.py")[^\n]*\n?      # our own
        (?:\ {4}[^\n]*\n?)*                               # the line of code, and what underlines it
    """,
    re.MULTILINE | re.VERBOSE,
)


def app_frames(text: str) -> str:
    """`text` without the frames of the import system, of the app server and of segue."""
    return _MACHINERY.sub("", text)
