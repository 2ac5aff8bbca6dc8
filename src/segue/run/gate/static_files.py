"""Collects the static files of a Django project, in its own interpreter, and says how it went.

Its arguments are RESULT TIMEOUT EXECUTOR MODULE FOLDER SETTINGS. They have to go to FOLDER, for it is what
becomes part of the release. It writes RESULT as JSON: ``{"kind": "ok"}``, ``{"kind": "none"}`` where the
project has no such app, or ``{"kind": ..., "message": ..., "evidence": ...}``.
"""

from __future__ import annotations

import faulthandler
import os
from typing import Any

from .import_check import app_frames, die_with, leave

APP = "django.contrib.staticfiles"


def _collect(folder: str, settings_module: str) -> dict[str, Any]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module)
    import django  # noqa: PLC0415 - the app's own
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    django.setup()
    if not any(one == APP or one.startswith(f"{APP}.") for one in settings.INSTALLED_APPS):
        return {"kind": "none"}
    wanted = os.path.realpath(folder)
    root = settings.STATIC_ROOT and os.path.realpath(settings.STATIC_ROOT)
    if root != wanted:
        return _elsewhere(root, folder)
    call_command("collectstatic", interactive=False, verbosity=1)
    return {"kind": "ok"}


def _elsewhere(root: str | None, folder: str) -> dict[str, Any]:
    if not root:
        return {
            "kind": "unset",
            "message": "Django has no STATIC_ROOT to collect static files into.",
            "evidence": f"[static] of segue.toml has folder = {folder!r}",
        }
    return {
        "kind": "elsewhere",
        "message": "Django's STATIC_ROOT is not the folder that [static] names.",
        "evidence": f"STATIC_ROOT: {os.path.relpath(root)}\nfolder: {folder}",
    }


def _raised(error: BaseException) -> dict[str, Any]:
    words = [type(error).__name__, *str(error).splitlines()[:1]]
    message = f"Django could not collect the static files: {': '.join(filter(None, words))}."
    return {"kind": "raised", "message": message, "evidence": app_frames(error)}


def serve(arguments: list[str]) -> None:
    """Collect them, and write down how it went."""
    result, timeout, executor, _module, folder, settings_module = arguments
    die_with(int(executor))
    faulthandler.enable()
    faulthandler.dump_traceback_later(float(timeout))
    try:
        document = _collect(folder, settings_module)
    except BaseException as error:  # noqa: BLE001 - whatever the app raises is the finding
        document = _raised(error)
    faulthandler.cancel_dump_traceback_later()
    leave(result, document)
