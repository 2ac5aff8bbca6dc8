"""What would be loaded, and how that differs from what runs, for people and machines: names, no values."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segue.core.secrets import HIDDEN, Secrets
from segue.reload.judge import changed_since
from segue.reload.run import Run

_ENV = ("-e", "--env")
_OF_ENV = re.compile(r"(--env=|-e)(.+)", re.DOTALL)
_NOT_THE_APPS = ("site-packages", "__pycache__", "node_modules", ".git")


def as_document(run: Run) -> dict[str, Any]:
    """What ``--dry-run --json`` prints."""
    looked, service = run.looked, run.looked.service
    return {
        "ok": True,
        **run.plan.as_dict(),
        "unit": service.unit.name,
        "runs": {
            "pid": service.master.pid,
            "argv": _shown(run),
            "folder": service.master.cwd,
            "executable": service.master.executable,
            "uid": service.master.uid,
            "workers": sorted(worker.pid for worker in service.workers),
            "listens": sorted(str(each.address) for each in service.listeners),
        },
        "loads": {
            "folder": run.plan.release,
            "from": looked.settings["where"],
            "module": looked.settings["module"],
            "interpreter": service.command.python[0],
            "prefix": looked.settings["prefix"],
            "gunicorn": looked.settings["version"],
            "worker_class": looked.settings["worker_class"],
            "env": sorted(service.environ),
            "env_files": [path for path, _ in service.unit.env_files],
        },
        "differs": differences(run),
        "door": service.door.describe(),
        "error": None,
    }


def _shown(run: Run) -> list[str]:
    """How it was started, without what its environment and ``--env`` keep secret."""
    secrets, before = Secrets(run.looked.service.environ), ""
    words = []
    for word in run.looked.service.master.argv:
        env = _OF_ENV.fullmatch(word)
        if env or before in _ENV:
            flag, pair = (env[1], env[2]) if env else ("", word)
            words.append(f"{flag}{pair.partition('=')[0]}={HIDDEN}")
        else:
            words.append(secrets.hide(word))
        before = word
    return words


def differences(run: Run) -> list[str]:
    """How what would be loaded differs from what runs."""
    looked, master = run.looked, run.looked.service.master
    found = []
    if run.plan.release != master.cwd:
        found.append(f"folder: {run.plan.release} instead of {master.cwd}")
    if changed := _changed_files(run):
        found.append(
            f"code: {len(changed)} files changed since pid {master.pid} began, the newest {changed[0]}"
        )
    found += [f"environment: {name} changed" for name in looked.changed_env]
    if run.strategy != "roll":
        found.append("settings of Gunicorn: changed")
    return found


def _changed_files(run: Run) -> list[str]:
    since = run.looked.service.master.since()
    changed = [file for file in _sources(run.plan.release) if changed_since(file, since)]
    return [str(file) for file in sorted(changed, key=lambda file: file.stat().st_mtime, reverse=True)]


def _sources(top: str) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in _NOT_THE_APPS]
        yield from (Path(folder, name) for name in names if name.endswith(".py"))


def lines(run: Run) -> list[str]:
    """What ``--dry-run`` prints."""
    document = as_document(run)
    runs, loads = document["runs"], document["loads"]
    rows = [
        ("unit", f"{document['unit']}, pid {runs['pid']}, uid {runs['uid']}, {len(runs['workers'])} workers"),
        ("runs in", runs["folder"]),
        ("listens", ", ".join(runs["listens"])),
        ("users", document["door"]),
        ("would load", f"{loads['module']} from {loads['from']}"),
        ("by", f"{loads['interpreter']}, Gunicorn {loads['gunicorn']}, {loads['worker_class']} workers"),
        ("environment", ", ".join(loads["env"])),
        *(
            ("differs", text)
            for text in document["differs"] or ["nothing: the same code would be loaded again"]
        ),
        *((step["name"], step["does"]) for step in document["steps"]),
    ]
    return [f"{name:<12} {text}" for name, text in rows]
