"""The text of a new segue.toml: what is sure is set, what is wanted most stands there commented out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

_WIDTH = 36
_HEAD = """\
# How segue deploys this app. A line that is commented out shows a default, or an example.
# Every key is explained in segue's docs/config.md.

[app]
"""
_STATIC_HEAD = """
# Static files: kept for pages that were loaded before a deploy; on a server, nginx serves them.
[static]
"""
_ENV_HEAD = """
# What its environment has to have, or a deploy is refused: url, secret, int, bool or text; a "url?" may be
# missing.
# [env]
"""
_TARGET_HEAD = """
# A server with systemd and nginx. `sudo segue setup production` on it prepares it, once;
# then `segue deploy production` deploys to it.
# [targets.production]
"""


@dataclass(frozen=True)
class Line:
    """One key of the file.

    Attributes:
        key: its name.
        value: its value, in the file's own words.
        comment: what is said of it.
        active: whether it is set; without it, the line is commented out.
    """

    key: str
    value: str | int | bool
    comment: str = ""
    active: bool = True


_USUAL = (
    Line("bind", "127.0.0.1:8000", "where `segue up` listens"),
    Line("workers", 2, "processes that serve"),
    Line("threads", 4, "in each of them; for apps that wait more than they compute"),
    Line("check", "/", "has to answer with 200; best a path that asks the database too"),
    Line("watch", "10s", "how long a new release is compared with the old one before it is kept"),
    Line("drain_timeout", "30s", "what lasts longer than that is cut"),
    Line("keep", 5, "good releases on disk"),
)
_OF_TARGET = (
    Line("domain", "shop.example", "where its users come in", active=False),
    Line("host", "deploy@web1", "to deploy from here by ssh; left out on the server itself", active=False),
)


def config_text(lines: Iterable[Line], *, static: Iterable[Line] = (), env: Iterable[Line] = ()) -> str:
    """The whole file: `lines` in ``[app]`` with the usual keys, `static`, `env`, and a target."""
    chosen = list(lines)
    keys = {line.key for line in chosen}
    usual = [Line(one.key, one.value, one.comment, active=False) for one in _USUAL if one.key not in keys]
    tables = (
        (_HEAD, (*chosen, *usual)),
        (_STATIC_HEAD, tuple(static)),
        (_ENV_HEAD, tuple(env)),
        (_TARGET_HEAD, _OF_TARGET),
    )
    return "".join(head + "".join(map(_text, rows)) for head, rows in tables if rows)


def _text(line: Line) -> str:
    # quoted by JSON, as TOML reads it too
    setting = f"{'' if line.active else '# '}{line.key} = {json.dumps(line.value, ensure_ascii=False)}"
    comment = f"  # {printable(line.comment)}" if line.comment else ""
    return f"{setting:<{_WIDTH}}{comment}\n"


def printable(text: str) -> str:
    """`text` without what would end a line, or could not be written: names of files may hold anything."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
