r"""How the text of an environment file is read: by systemd's ``EnvironmentFile=``, and by python-dotenv.

No library reads as systemd does, and systemd tells nobody what it read. Its rules, from its source:
``src/basic/env-file.c`` says what an assignment is, ``src/basic/env-util.c`` which ones are passed on.

- Blank lines are skipped, and lines that begin with ``#`` or ``;``. Before systemd 254 a comment whose line
  ends in a backslash goes on in the next line.
- A key is all up to the ``=``, without the white space around it. A line without ``=`` is skipped.
- A value is any number of quoted parts, and then one that is not quoted, joined; white space before each is
  skipped. A quote that does not begin a part is a character like any other, and so is ``#``.
- In single quotes everything stands for itself, ends of lines too. In double quotes a backslash takes its
  meaning from a double quote, another backslash, a backtick, a dollar sign, and the end of a line, which is
  dropped; before all else it stands for itself.
- Without quotes a value ends with its line, less the white space at its end. A backslash takes the meaning
  from any character; an end of line behind one is dropped.
- Quotes that are never closed end with the file. ``\r`` ends a line as ``\n`` does. Nothing is expanded.
- The last assignment to a key holds. Where the key is no plain name, it is not passed on; the journal has all
  of it then, its value too.
- A file with a zero byte, or that is not UTF-8, is not read at all: the unit does not start.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

from dotenv import dotenv_values

from segue.core.contract import KEY

_COMMENTS_END_WITH_THEIR_LINE = 254  # the systemd since which they do

_BLANK = re.compile(r"[ \t\r\n]*")
_COMMENT = re.compile(r"[#;][^\r\n]*")
_LONG_COMMENT = re.compile(r"[#;](?:\\.|[^\\\r\n])*", re.DOTALL)
_KEY = re.compile(r"([^\r\n][^=\r\n]*)=")
_LINE = re.compile(r"[^\r\n]*")
_QUOTED = re.compile(r"""[ \t]*(?:'([^']*)'?|"((?:\\.|[^"\\])*)\\?"?)""", re.DOTALL)
_BARE = re.compile(r"[ \t]*((?:\\(?:.|\Z)|[^\\\r\n])*?)[ \t]*(?=[\r\n]|\Z)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.?)", re.DOTALL)

# it would print the numbers of lines that it can't read, and keys that come twice
logging.getLogger("dotenv").addHandler(logging.NullHandler())


def read_as_systemd(text: str, version: int) -> dict[str, str]:
    """The environment that systemd `version` makes of the file's `text`."""
    return {key: value for key, value in _assignments(text, version) if KEY.fullmatch(key)}


def read_as_dotenv(text: str, *, interpolate: bool = True) -> dict[str, str]:
    """The environment that python-dotenv makes of the file's `text`; a key without ``=`` has no value."""
    read = dotenv_values(stream=io.StringIO(text), interpolate=interpolate)
    return {key: value or "" for key, value in read.items() if KEY.fullmatch(key)}


def _assignments(text: str, version: int) -> Iterator[tuple[str, str]]:
    comment = _COMMENT if version >= _COMMENTS_END_WITH_THEIR_LINE else _LONG_COMMENT
    place = _end(_BLANK, text, 0)
    while place < len(text):
        if text[place] in "#;":
            place = _end(comment, text, place)
        elif key := _KEY.match(text, place):
            value, place = _value(text, key.end())
            yield key[1].rstrip(" \t"), value
        else:
            place = _end(_LINE, text, place)
        place = _end(_BLANK, text, place)


def _end(pattern: re.Pattern[str], text: str, place: int) -> int:
    found = pattern.match(text, place)
    return place if found is None else found.end()


def _value(text: str, place: int) -> tuple[str, int]:
    parts = []
    while quoted := _QUOTED.match(text, place):
        single, double = quoted.groups()
        parts.append(_ESCAPED.sub(_in_double_quotes, double) if single is None else single)
        place = quoted.end()
    bare = _BARE.match(text, place)
    if bare is None:
        raise RuntimeError("it matches nothing, too")
    return "".join((*parts, _ESCAPED.sub(_without_quotes, bare[1]))), bare.end()


def _in_double_quotes(escaped: re.Match[str]) -> str:
    if escaped[1] in ("\n", ""):
        return ""
    return escaped[1] if escaped[1] in '"\\`$' else escaped[0]


def _without_quotes(escaped: re.Match[str]) -> str:
    return "" if escaped[1] in ("\r", "\n") else escaped[1]
