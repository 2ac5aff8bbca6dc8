"""Reads a project's config: flags beat a target's overlay, which beats `[app]`, which beats the defaults."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from segue.config.problems import file_problems, flag_problems, shown
from segue.config.project import CONFIG_FILE, PYPROJECT
from segue.config.schema import AppConfig, ConfigFile, Settings, Target
from segue.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL = "local"
_ONLY_OF_TARGETS = Target.model_fields.keys() - Settings.model_fields.keys()


@dataclass(frozen=True)
class _Source:
    """The table that configures segue: `document`, as TOML gave it, under the key `prefix` of `file`."""

    file: str
    prefix: tuple[str, ...]
    document: Any


def load_config(project: Path, overrides: Mapping[str, Any], target: str | None = None) -> AppConfig:
    """The config of the app in `project` for `target` (``local`` unless given).

    Args:
        project: the folder that `find_project` found.
        overrides: keys of `[app]` set by flags, in the file's own words; None means "not given".
        target: the name of a `[targets.NAME]` table. ``local`` always exists.

    Raises:
        UsageError: the config or a flag can't be used, with all problems at once; or there is no such target.
    """
    source = _find_source(project)
    document = _with_name(source.document, project)
    flags = {key: value for key, value in overrides.items() if value is not None}
    _refuse_problems(source, document, flags)
    target = LOCAL if target is None else target
    beside = {key: document[key] for key in ("processes", "env", "hooks", "static") if key in document}
    return _merged(target, document["app"] | beside | _overlay(document, target) | flags)


def configured_by(project: Path) -> str | None:
    """What configures the app in `project`; None where nothing does.

    Raises:
        UsageError: it can't be read, or there are two.
    """
    source = _find_source(project)
    if source.prefix:
        return f"[tool.segue] in {source.file}"
    return CONFIG_FILE if os.path.lexists(project / CONFIG_FILE) else None


def load_target(project: Path, name: str) -> Target:
    """The `[targets.NAME]` table called `name`; one that says nothing for ``local`` where it has none.

    Raises:
        UsageError: the config can't be used, or there is no such target.
    """
    source = _find_source(project)
    document = _with_name(source.document, project)
    _refuse_problems(source, document, {})
    return Target.model_validate(_table(document, name))


def servers(project: Path) -> list[str]:
    """The names of the targets in `project` that are servers.

    Raises:
        UsageError: the config can't be used.
    """
    source = _find_source(project)
    document = _with_name(source.document, project)
    _refuse_problems(source, document, {})
    return [name for name, table in document.get("targets", {}).items() if "domain" in table]


def _find_source(project: Path) -> _Source:
    tool = _read_toml(project / PYPROJECT).get("tool")
    table = tool.get("segue") if isinstance(tool, dict) else None
    if table is None:
        return _Source(CONFIG_FILE, (), _read_toml(project / CONFIG_FILE))
    if os.path.lexists(project / CONFIG_FILE):
        raise UsageError(
            "config",
            f"{CONFIG_FILE} and [tool.segue] in {PYPROJECT} both configure this app.",
            hint=f"keep one: move what [tool.segue] says into {CONFIG_FILE}, or delete {CONFIG_FILE}",
        )
    return _Source(PYPROJECT, ("tool", "segue"), table)


def _read_toml(path: Path) -> dict[str, Any]:
    if not os.path.lexists(path):
        return {}
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise UsageError("config", f"{path.name} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _invalid(path, f"line {line}: byte 0x{error.object[error.start]:02x} is not UTF-8") from error
    except RecursionError as error:
        raise _invalid(path, "it is nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError is one, and so is a number too long for int()
        raise _invalid(path, str(error)) from error


def _invalid(path: Path, evidence: str) -> UsageError:
    return UsageError(
        "config", f"{path.name} is not valid TOML.", evidence=evidence, hint=f"mend {path.name} and try again"
    )


def _with_name(document: Any, project: Path) -> Any:
    """`document` with a name in its `[app]`; what is no table stays as it is, for the model to refuse."""
    app = document.get("app", {}) if isinstance(document, dict) else None
    if not isinstance(app, dict):
        return document
    return document | {"app": app | {"name": app.get("name", _folder_name(project))}}


def _folder_name(project: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(os.path.realpath(project)).name)
    return name.strip(".-")[:64] or "app"


def _refuse_problems(source: _Source, document: Any, flags: dict[str, Any]) -> None:
    file_error, flag_error = _error(ConfigFile, document), _error(Settings, flags)
    in_file = file_problems(file_error, document, source.prefix) if file_error else []
    in_flags = flag_problems(flag_error) if flag_error else []
    if in_file or in_flags:
        raise UsageError(
            "config",
            _summary(source.file, len(in_file), len(in_flags)),
            evidence="\n".join(in_file + in_flags),
            hint="mend what is listed and try again; nothing was touched",
        )


def _summary(file: str, in_file: int, in_flags: int) -> str:
    if in_file and in_flags:
        return f"{file} and the command line have {in_file + in_flags} problems."
    count = in_file or in_flags
    return f"{file if in_file else 'The command line'} has {count} problem{'s' if count > 1 else ''}."


def _error(table: type[BaseModel], content: Any) -> ValidationError | None:
    try:
        table.model_validate(content)
    except ValidationError as error:
        return error
    return None


def _overlay(document: dict[str, Any], target: str) -> dict[str, Any]:
    return {key: value for key, value in _table(document, target).items() if key not in _ONLY_OF_TARGETS}


def _table(document: dict[str, Any], target: str) -> dict[str, Any]:
    targets: dict[str, dict[str, Any]] = {LOCAL: {}} | document.get("targets", {})
    if target not in targets:
        raise UsageError(
            "target",
            f"There is no target {shown(target)}.",
            evidence=f"known targets: {', '.join(targets)}",
            hint=f"a table [targets.{target}] in {CONFIG_FILE} makes one"
            if re.fullmatch(r"[\w-]{1,64}", target, re.ASCII)
            else f"targets are tables in {CONFIG_FILE}, such as [targets.production]",
        )
    return targets[target]


def _merged(target: str, settings: dict[str, Any]) -> AppConfig:
    try:
        return AppConfig.model_validate(settings)
    except ValidationError as error:
        # Each part was valid by itself, so only what they say together can be wrong.
        evidence = "\n".join(problem["msg"] for problem in error.errors())
        raise UsageError(
            "config", f"The settings for target {target} contradict each other.", evidence=evidence
        ) from error
