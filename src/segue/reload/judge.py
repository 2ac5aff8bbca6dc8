"""Whether a service can be reloaded, and how: when a reload would load old code, or lose requests."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from segue.core.errors import Refused
from segue.reload.look import Looked

_THREADED_SINCE = (24,)
_ASGI = ("uvicorn", "asgi", "hypercorn")
_CONFIG = "__config__"
_MAIN = "__main__"
_DELETED = " (deleted)"
_MOST_SHOWN = 5


def demand_reloadable(
    looked: Looked, *, accept_stall: bool, config_read: float, release: Path | None = None
) -> bool:
    """Refuse what a reload can't do well; whether its settings have to be read again, which a roll can't do.

    Args:
        looked: the service.
        accept_stall: whether a stall was asked for.
        config_read: when the master read its settings last, in seconds of the epoch.
        release: where the link is led before; None where it stays.

    Raises:
        Refused: with the reason, and the way out.
    """
    for refusal in _refusals(looked, release):
        raise refusal
    changed = _changed_config(looked, config_read)
    if changed and not accept_stall:
        raise Refused(
            "config",
            "The settings of Gunicorn were changed since it read them, and a roll would not apply them.",
            evidence=changed,
            hint="--accept-stall has them read by HUP: every request waits for the app's whole import then",
        )
    return bool(changed)


def _refusals(looked: Looked, release: Path | None) -> Iterator[Refused]:
    yield from _of_unit(looked)
    yield from _of_interpreter(looked)
    yield from _of_memory(looked, release)
    yield from _of_settings(looked)
    yield from _of_code(looked)


def _restart(looked: Looked) -> str:
    return f"`systemctl restart {looked.service.unit.name}` applies it, and is felt"


def _of_unit(looked: Looked) -> Iterator[Refused]:
    unit, master = looked.service.unit, looked.service.master
    edited = [file for file in unit.files if file.exists() and changed_since(file, master.since())]
    if unit.told["NeedDaemonReload"] == "yes" or (edited and unit.argv != master.argv[-len(unit.argv) :]):
        yield Refused(
            "unit_changed",
            f"{unit.name} was changed since its process began, and no reload applies that.",
            evidence=f"{edited[0] if edited else unit.files[0]}",
            hint=f"`systemctl daemon-reload && systemctl restart {unit.name}` applies it, and is felt",
        )
    if looked.changed_env:
        names = ", ".join(looked.changed_env)
        files = ", ".join(path for path, _ in unit.env_files)
        yield Refused(
            "env_changed",
            "The environment was changed since the service began, and new workers inherit the old one.",
            evidence=f"changed: {names}\nread from: {files or unit.files[0]}",
            hint=_restart(looked),
        )


def _of_interpreter(looked: Looked) -> Iterator[Refused]:
    command, master = looked.service.command, looked.service.master
    moved = [path for path in (command.python[0], command.path) if path and link_moved(path, master.since())]
    if master.executable.endswith(_DELETED) or moved:
        yield Refused(
            "interpreter",
            "The interpreter was replaced since the service began, and new workers go on with the old one.",
            evidence=f"runs: {master.executable}" + (f"\nleads elsewhere now: {moved[0]}" if moved else ""),
            hint=_restart(looked),
        )


def _of_memory(looked: Looked, release: Path | None) -> Iterator[Refused]:
    held = [f"{name}: {file}" for name, file in _held(looked) if _is_other(looked, Path(file), release)]
    if held:
        more = [f"and {len(held) - _MOST_SHOWN} more"] if len(held) > _MOST_SHOWN else []
        yield Refused(
            "held",
            "The master has modules in memory that were changed since; new workers inherit the old ones.",
            evidence="\n".join([*held[:_MOST_SHOWN], *more]),
            hint=f"import nothing of the app's in gunicorn.conf.py; now: {_restart(looked)}",
        )


def _is_other(looked: Looked, file: Path, release: Path | None) -> bool:
    """Whether `file` is another one than the master has in memory."""
    is_new = release is not None and file.is_relative_to(release)
    return is_new or changed_since(file, looked.service.master.since())


def _held(looked: Looked) -> Iterator[tuple[str, str]]:
    for name, file in looked.settings["held"].items():
        if name not in (_CONFIG, _MAIN) and isinstance(file, str):
            yield name, file


def _of_settings(looked: Looked) -> Iterator[Refused]:
    settings, name = looked.settings["settings"], looked.service.unit.name
    if settings.get("preload_app"):
        yield Refused(
            "preload",
            "The master has the app in memory (preload_app), so no reload loads new code, and none says so.",
            evidence="preload_app = True",
            hint=f"drop preload_app, or {_restart(looked)}",
        )
    if settings.get("reload"):
        yield Refused(
            "reloader",
            "Its workers end by themselves whenever a file is saved (reload), half-written ones too.",
            evidence="reload = True",
            hint=f"drop it, and `systemctl restart {name}` once",
        )
    if settings.get("reuse_port"):
        yield Refused(
            "reuse_port",
            "Each worker has a queue of its own (reuse_port), and what waits there is lost when it leaves.",
            evidence="reuse_port = True",
            hint=f"drop it, and `systemctl restart {name}` once",
        )
    yield from _lossy(looked)


def _lossy(looked: Looked) -> Iterator[Refused]:
    version, worker = str(looked.settings["version"]), str(looked.settings["worker_class"])
    if any(word in worker.lower() for word in _ASGI):
        yield Refused(
            "lossy",
            f"Workers of {worker} lose requests when they leave, whoever tells them to.",
            evidence=f"Gunicorn {version}, {worker}: 1 to 3 requests were lost in five reloads under load",
            hint="`segue setup` serves it blue-green, without loss",
        )
    threaded = "gthread" in worker.lower() or worker.lower() == "threads"
    if threaded and _numbers(version) < _THREADED_SINCE:
        yield Refused(
            "lossy",
            f"Threaded workers of Gunicorn {version} lose requests when they leave.",
            evidence="10 to 28 requests were lost in five reloads under load; from 24 on none",
            hint=f"install gunicorn 27 or newer, and `systemctl restart {looked.service.unit.name}` once",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(word) for word in version.split(".") if word.isdigit())


def _of_code(looked: Looked) -> Iterator[Refused]:
    master, where, folder = looked.service.master, looked.settings["where"], looked.service.unit.folder
    if looked.wanted == master.cwd or where is None or not Path(where).is_relative_to(master.cwd):
        return
    yield Refused(
        "stale",
        "New workers would load the old code again: Gunicorn knows the folder, and not the link to it.",
        evidence=f"{folder} leads to {looked.wanted}\nnew workers would load {where}",
        hint=f"`--chdir {folder}` in ExecStart, `systemctl daemon-reload`, one restart: then it follows",
    )


def _changed_config(looked: Looked, config_read: float) -> str:
    """What says that the settings are other ones than those that run; empty where nothing does."""
    settings, master = looked.settings["settings"], looked.service.master
    name = str(settings.get("config") or "")
    if not name or name.startswith("python:"):
        return ""
    name = name.removeprefix("file:")
    now = Path(str(settings.get("chdir")), name)
    before = Path(master.cwd, name)
    if not now.exists():
        return f"{before} is gone" if before.exists() and now != before else ""
    if now.resolve() == before.resolve():
        return f"{now}" if changed_since(now, config_read) else ""
    same = (
        before.exists() and before.read_bytes() == now.read_bytes() and not changed_since(before, config_read)
    )
    return "" if same else f"{now}, which was {before}"


def changed_since(path: Path, moment: float) -> bool:
    """Whether what is at `path` was written or replaced after `moment`; a change of its owner is none."""
    try:
        file, folder = path.stat(), path.parent.stat()
    except OSError:
        return True
    return file.st_mtime > moment or (file.st_ctime > moment and folder.st_mtime > moment)


def link_moved(path: str, moment: float) -> bool:
    """Whether a link in `path` was made anew after `moment`."""
    for each in (Path(path), *Path(path).parents):
        try:
            found = os.lstat(each)
        except OSError:
            continue
        if stat.S_ISLNK(found.st_mode) and found.st_mtime > moment:
            return True
    return False
