"""Everything that a start of one generation behind its gate needs, as a value."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segue.config.schema import AppConfig
from segue.core.address import Address
from segue.core.ids import release_of
from segue.run.generation import MARK, gate_script
from segue.run.servers import GATED, command

USER_CONFIG = "gunicorn.conf.py"

# What must not come along: paths that lead back to the live tree, and sockets that are somebody else's.
_UNSET = (
    "PWD", "OLDPWD", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "GUNICORN_PID",
    "GUNICORN_FD", "PYTHONHOME", "VIRTUAL_ENV", "FLASK_RUN_FROM_CLI", "WERKZEUG_RUN_MAIN",
    "WERKZEUG_SERVER_FD",
)  # fmt: skip


def start_document(
    config: AppConfig,
    address: Address,
    *,
    generation: str,
    folder: Path,
    project: Path,
    release: Path,
    python: Path,
    module: str,
    server: str,
    interface: str,
    environ: Mapping[str, str],
) -> dict[str, Any]:
    """What ``start.json`` says: enough for any later keeper to start the same generation again."""
    return {
        "generation": generation,
        "release": release_of(generation),
        "root": str(release),
        "argv": command(server, interface, config, address, gate_script(folder), release, python, module),
        "gated": server in GATED,
        "module": module,
        "interface": interface,
        "environ": _changes(environ, project, release, python, folder),
        "unset": [name for name in _UNSET if name in environ],
        "user_config": _user_config(config, release),
        "server_args": list(config.server_args),
        "settings": _settings(config),
        "check": {
            "path": config.check,
            "host": config.check_host or address.host_header,
            "scheme": config.check_scheme,
            "timeout": config.check_timeout,
            "interval": config.check_interval,
        },
        "ready_timeout": config.ready_timeout,
        "wrap": config.wrap,
        "seen": secrets.token_hex(16),
        "linger": config.linger,
        "drain_timeout": config.drain_timeout,
        "standby": config.standby,
        "processes": {name: process.model_dump(mode="json") for name, process in config.processes.items()},
    }


def _changes(
    base: Mapping[str, str], project: Path, release: Path, python: Path, folder: Path
) -> dict[str, str]:
    """What differs from the keeper's own environment; its other values are never written down."""
    changes = {
        "PATH": os.pathsep.join((str(python.parent), base.get("PATH", os.defpath))),
        "SEGUE_RELEASE": release_of(folder.name),
        "SEGUE_GENERATION": folder.name,
        MARK: str(folder),
    }
    if "PYTHONPATH" in base:
        parts = base["PYTHONPATH"].split(os.pathsep)
        changes["PYTHONPATH"] = os.pathsep.join(_in_release(part, project, release) for part in parts)
    return changes


def generation_environment(
    base: Mapping[str, str], *, project: Path, release: Path, python: Path, folder: Path
) -> dict[str, str]:
    """The whole environment of the generation in `folder`, for what runs beside it: the import check."""
    env = {**base, **_changes(base, project, release, python, folder)}
    return {key: value for key, value in env.items() if key not in _UNSET}


def _in_release(part: str, project: Path, release: Path) -> str:
    path = Path(project, part)
    return str(release / path.relative_to(project)) if part and path.is_relative_to(project) else part


def _user_config(config: AppConfig, release: Path) -> str | None:
    path = release / (config.gunicorn_config or USER_CONFIG)
    return str(path) if config.gunicorn_config or path.is_file() else None


def _settings(config: AppConfig) -> dict[str, Any]:
    """What the config decides; the rest is left to the app's own gunicorn.conf.py."""
    chosen = {
        "workers": config.workers,
        "threads": config.threads,
        "worker_class": config.worker_class,
        "preload_app": config.preload,
    }
    return {name: value for name, value in chosen.items() if value is not None}
