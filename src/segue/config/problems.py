"""What is wrong with a config, one plain line a problem, in the order of the file."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from segue.config.schema import App, ConfigFile, Hooks, Process, Settings, Target

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

_LONGEST_ECHO = 80  # characters of the user's own that a message repeats
_BIGGEST_ECHO = 10**_LONGEST_ECHO
_TABLES: dict[str | int, type[BaseModel]] = {
    "app": App,
    "hooks": Hooks,
    "processes": Process,
    "targets": Target,
}
_SENTENCES = {
    "bool_type": "should be true or false",
    "dict_type": "should be a table",
    "greater_than_equal": "should be {ge} or more",
    "int_type": "should be a whole number",
    "less_than_equal": "should be {le} or less",
    "literal_error": "should be {expected}",
    "model_type": "should be a table",
    "tuple_type": "should be a list",
    "value_error": "{error}",
}


def file_problems(error: ValidationError, document: object, prefix: tuple[str, ...]) -> list[str]:
    """What `error` found in `document`, a ConfigFile to be, which its file has under the key `prefix`."""
    found = sorted(error.errors(include_url=False), key=lambda one: _position(one["loc"], document))
    return [f"{_key_path(prefix, one)}: {_sentence(one, ConfigFile)}" for one in found]


def flag_problems(error: ValidationError) -> list[str]:
    """What `error` found in the flags of a command line."""
    return [
        f"--{_key(one['loc'][0]).replace('_', '-')}: {_sentence(one, Settings)}"
        for one in error.errors(include_url=False)
    ]


def shown(value: object) -> str:
    """`value` as TOML would write it, or what it is where that would be long, in printable characters."""
    match value:
        case str():
            return _quoted(value)
        case bool():
            return str(value).lower()
        case int() if abs(value) >= _BIGGEST_ECHO:
            return "a very long number"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return str(value)


def _quoted(text: str) -> str:
    if len(text) > _LONGEST_ECHO:
        return f"text of {len(text)} characters"
    return "".join(map(_visible, json.dumps(text, ensure_ascii=False)))


def _visible(character: str) -> str:
    return character if character.isprintable() else f"\\u{ord(character):04x}"


def _position(loc: tuple[str | int, ...], document: Any) -> list[int]:
    position = []
    for part in loc:
        if isinstance(part, int):
            position.append(part)
        elif isinstance(document, Mapping) and part in document:
            position.append(list(document).index(part))
        else:
            break
        document = document[part]
    return position


def _key_path(prefix: tuple[str, ...], error: ErrorDetails) -> str:
    loc = error["loc"]
    # pydantic's own word for "the key itself", unless the file has a key of that name.
    if loc[-1:] == ("[key]",) and error["type"] != "extra_forbidden":
        loc = loc[:-1]
    return ".".join(map(_key, (*prefix, *loc)))


def _key(part: str | int) -> str:
    key = str(part)
    if len(key) > _LONGEST_ECHO:
        return f"(a key of {len(key)} characters)"
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else shown(key)


def _sentence(error: ErrorDetails, root: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        return _unknown(str(error["loc"][-1]), root if len(error["loc"]) == 1 else _TABLES[error["loc"][0]])
    template = _SENTENCES.get(error["type"])
    if template is None:
        return error["msg"]
    return f"{template.format(**error.get('ctx', {}))}, got {shown(error['input'])}"


def _unknown(key: str, table: type[BaseModel]) -> str:
    if key in App.model_fields:
        return "unknown here; it belongs under [app]"
    if key in Target.model_fields:
        return "unknown here; it belongs under [targets.NAME]"
    close = difflib.get_close_matches(key[:_LONGEST_ECHO], table.model_fields, n=1)
    return f'unknown key; did you mean "{close[0]}"?' if close else "unknown key"
