"""Which packages a project says that it needs, by name; nothing is resolved or installed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from segue.build.code import Code
from segue.config.project import PYPROJECT

REQUIREMENTS = "requirements.txt"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_INCLUDE = re.compile(r"(?:-r|--requirement)[ =]?\s*(\S+)")
_ITSELF = re.compile(r"(?:(?:-e|--editable)[ =]?\s*)?(?:file:)?\./?(?:\[.*\])?")


def declared(code: Code) -> dict[str, str]:
    """Each package, in small letters with ``-``, and the file that says so."""
    found: dict[str, str] = {}
    for path, text in (*_requirements(code, REQUIREMENTS, set()), *_of_pyproject(code)):
        if (match := _NAME.match(text)) is not None:
            found.setdefault(re.sub(r"[-_.]+", "-", match[0]).lower(), path)
    return found


def installs_itself(code: Code) -> bool:
    """Whether requirements.txt installs the project, so that packages below ``src`` can be imported."""
    return any(_ITSELF.fullmatch(text) for _, text in _requirements(code, REQUIREMENTS, set()))


def _requirements(code: Code, path: str, seen: set[str]) -> Iterator[tuple[str, str]]:
    if path in seen:
        return
    seen.add(path)
    for line in code.text(path).splitlines():
        text = line.partition(" #")[0].strip()
        if (match := _INCLUDE.fullmatch(text)) is not None:
            yield from _requirements(code, match[1], seen)
        elif not text.startswith("#"):
            yield path, text


def _of_pyproject(code: Code) -> Iterator[tuple[str, str]]:
    document = pyproject(code)
    for one in _listed(_table(document, "project").get("dependencies")):
        yield PYPROJECT, one
    for one in _table(document, "tool", "poetry", "dependencies"):
        yield PYPROJECT, one


def pyproject(code: Code) -> dict[str, Any]:
    """What pyproject.toml says; nothing where it is none."""
    try:
        return tomllib.loads(code.text(PYPROJECT))
    except (ValueError, RecursionError):
        return {}


def _table(document: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def _listed(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
