"""What `segue init` finds of a project's static files, where it is sure of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from segue.build.code import Code
from segue.build.detect import App

_SETTINGS = re.compile(r"""["']DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")
_BASE_DIR = re.compile(r"^BASE_DIR\s*=(.*)$", re.MULTILINE)
_ROOT = re.compile(
    r"""^STATIC_ROOT\s*=\s*(?:str\()?(?:BASE_DIR\s*/|BASE_DIR\.joinpath\(|(?:os\.path\.)?join\(\s*BASE_DIR\s*,)"""
    r"""\s*["']([\w-][\w./-]*)["']""",
    re.MULTILINE,
)
_URL = re.compile(r"""^STATIC_URL\s*=\s*["']/?([A-Za-z0-9][A-Za-z0-9._/-]*?)/?["']""", re.MULTILINE)
_APP = "django.contrib.staticfiles"


@dataclass(frozen=True)
class StaticFiles:
    """Where static files are.

    Attributes:
        url: where users find them.
        folder: where they lie in a release.
        where: the file or the folder that says so.
    """

    url: str
    folder: str
    where: str


def find_static(code: Code, app: App, folders: tuple[str, ...]) -> StaticFiles | None:
    """Where the static files of `app` are, which has `folders` of that name; None where that is not sure."""
    if app.kind.framework == "Django":
        return _of_django(code)
    if app.kind.framework == "Flask" and len(folders) == 1:
        return StaticFiles("/static/", folders[0], f"{folders[0]}/")
    return None


def _of_django(code: Code) -> StaticFiles | None:
    named = _SETTINGS.search(code.text("manage.py"))
    module = named and code.module(named[1])
    if not module:
        return None
    text = code.text(module.path)
    root, base, url = _ROOT.search(text), _BASE_DIR.search(text), _URL.search(text)
    if root is None or base is None or _APP not in text or not _is_the_projects(base[1], module.path):
        return None
    return StaticFiles(f"/{url[1] if url else 'static'}/", root[1].rstrip("/"), str(module.path))


def _is_the_projects(base: str, settings: PurePosixPath) -> bool:
    """Whether `base`, in `settings`, is the project's own folder: as many steps up as that lies deep."""
    return len(re.findall(r"\bparent\b|\bdirname\(", base)) == len(settings.parts)
