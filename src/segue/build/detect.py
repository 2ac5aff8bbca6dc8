"""Finds the app object of a project that does not name it."""

from __future__ import annotations

import re
from pathlib import Path

from segue.core.errors import UsageError

_FILES = ("wsgi.py", "app.py", "main.py", "application.py")
_OBJECT = re.compile(r"^(app|application)\b\s*(?::[^=]+)?=", re.MULTILINE)
_FACTORY = re.compile(
    r"^def (create_app|make_app)\(\s*\)|^def (create_app|make_app)\([^)]*=[^)]*\)", re.MULTILINE
)
_IMPORTED = re.compile(r"^from \S+ import .*\b(app|application)\b", re.MULTILINE)


def detect_module(project: Path) -> str:
    """The app of `project` as ``MODULE:ATTRIBUTE``, looked for in the usual files, then in its packages.

    Raises:
        UsageError: nothing looks like an app.
    """
    packages = sorted(project.glob("[!.]*/__init__.py"))
    for path in (*(project / name for name in _FILES), *packages):
        if path.is_file():
            found = _app_in(path.read_text(encoding="utf-8", errors="replace"))
            if found is not None:
                return f"{path.parent.name if path in packages else path.stem}:{found}"
    raise UsageError(
        "module",
        f"No app was found in {project}.",
        evidence=f"looked for app, application or create_app() in {', '.join(_FILES)} and packages",
        hint='name it: `segue up MODULE:APP`, or module = "MODULE:APP" in segue.toml',
    )


def _app_in(text: str) -> str | None:
    for pattern in (_OBJECT, _IMPORTED):
        if (match := pattern.search(text)) is not None:
            return match[1]
    match = _FACTORY.search(text)
    return None if match is None else f"{match[1] or match[2]}()"
