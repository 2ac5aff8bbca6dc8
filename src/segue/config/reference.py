"""The JSON Schema and the reference page of segue.toml, both made from the models.

``python -m segue.config.reference --write`` renews docs/segue.schema.json and docs/config.md from the
project's root; without ``--write`` the page goes to stdout.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import SchemaSerializer, core_schema

from segue.config.schema import ConfigFile, Settings

SCHEMA_FILE = Path("docs/segue.schema.json")
PAGE_FILE = Path("docs/config.md")

_INTRODUCTION = """\
# segue.toml

One `segue.toml` beside the app, or the same tables in `pyproject.toml` with `tool.segue.` before their names
(`[tool.segue.app]`); never both. Nothing is required: what is left out is detected, or has a default. Flags
beat the table of a target, which beats `[app]`, which beats the app's own `gunicorn.conf.py`, which beats the
defaults. An unknown key is an error.

A duration is text with a unit: `"250ms"`, `"30s"`, `"2m"`, `"1h"`; at most `"24h"`.

Editors check and complete the file with [segue.schema.json](segue.schema.json): put
`#:schema PATH_OR_URL_OF/segue.schema.json` on its first line.

```toml
[app]
module = "wsgi:app"
workers = 4
check = "/healthz"

[targets.production]
host = "deploy@web1"
workers = 8
```

<!-- Made by `python -m segue.config.reference --write` from the docstrings in src/segue/config/schema.py. -->
"""
_PROCESSES = """\
On a server, what the app runs besides: `worker = "celery -A shop worker"`, or a table for more:
`beat = { command = "celery -A shop beat -s /srv/shop/shared/beat", single = true }`. They are the live
release's: started after the commit of a deploy, each as a systemd unit of its own in the app's sandbox; then
those of the release before get SIGTERM, finish what they hold, and leave.
"""
_ENV = """\
The keys that the app's environment has to have, by name: `DATABASE_URL = "url"`. A deploy, a restart or a
rollback that would start without one is refused before anything is touched. Those that the source's
`.env.example` sets are demanded as `text`, unless they stand here.

| kind | a value |
|---|---|
| `"url"` | `SCHEME://` and what follows, without spaces |
| `"secret"` | 16 characters or more, and not the value in `.env.example` |
| `"int"` | a whole number |
| `"bool"` | `true`, `false`, `yes`, `no`, `on`, `off`, `1` or `0` |
| `"text"` | anything, nothing too |

With a question mark, `"url?"`, the key may be missing, or empty.
"""
_HOOKS = """\
Commands at named places of a deploy: `before_switch = ["python -m shop.warm", ["flask", "warm", "the
cache"]]`. One runs after the other, without a shell, in the new release's folder, with the app's
environment and as its user, so they can write what the app can. Their environment has these besides:
`SEGUE_HOOK` (the place), `SEGUE_APP`, `SEGUE_TARGET`, `SEGUE_VERB`, `SEGUE_RELEASE` and `SEGUE_GENERATION`
(where they run), `SEGUE_CANDIDATE`, `SEGUE_PREVIOUS` (generations; the latter may be empty); at
`on_failure` also `SEGUE_ERROR_KIND`. Before the commit, a hook that does not end with 0
in time has the release taken back; afterwards it is a note. What they print is in the receipt. No hook runs
for a deploy whose executor was killed.
"""
_STATIC = """\
With this table, even an empty one, a deploy makes the app's static files, and keeps those of the releases on
disk at hand for pages that were loaded before it: [static files](static.md). Without it, they are files like
any other.
"""
_TARGETS = "Every key of `[app]` but `name`, for this target alone, and:\n"


class _TomlSchema(GenerateJsonSchema):
    """TOML has no null, every key may be left out, and defaults are shown as the file would write them."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        default = SchemaSerializer(schema["schema"]).to_python(schema.get("default"), mode="json")
        return inner if default is None else inner | {"default": default}

    def field_is_required(self, *_args: Any, **_kwargs: Any) -> bool:
        return False

    def field_title_should_be_set(self, *_args: Any, **_kwargs: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema of segue.toml, for editors."""
    schema = ConfigFile.model_json_schema(schema_generator=_TomlSchema)
    of_target = schema["$defs"]["Target"]["properties"]
    for key in of_target.keys() & Settings.model_fields.keys():
        of_target[key].pop("default", None)  # what a target leaves out is what [app] says
    process, names = schema["$defs"]["Process"], schema["properties"]["processes"]
    (pattern,) = names["patternProperties"]
    bare = process["properties"]["command"]["anyOf"]
    names["patternProperties"] = {pattern: {"anyOf": [*bare, names["patternProperties"][pattern]]}}
    return {"$schema": GenerateJsonSchema.schema_dialect} | schema | {"title": "segue.toml"}


def reference_page() -> str:
    """docs/config.md: every key with its type, its default and its meaning."""
    tables = json_schema()["$defs"]
    names = ("App", "Target", "Process", "Hooks", "Static")
    app, target, process, hooks, static = (tables[name]["properties"] for name in names)
    own = {key: value for key, value in target.items() if key not in app}
    return "\n".join(
        [
            *(_INTRODUCTION, "## [app]\n", *_rows(app)),
            *("\n## [targets.NAME]\n", _TARGETS, *_rows(own)),
            *("\n## [processes]\n", _PROCESSES, *_rows(process)),
            *("\n## [env]\n", _ENV),
            *("\n## [hooks]\n", _HOOKS, *_rows(hooks)),
            *("\n## [static]\n", _STATIC, *_rows(static), ""),
        ]
    )


def _rows(properties: dict[str, dict[str, Any]]) -> list[str]:
    head = ["| key | default | values | meaning |", "|---|---|---|---|"]
    return head + [_row(key, schema) for key, schema in properties.items()]


def _row(key: str, schema: dict[str, Any]) -> str:
    default = f"`{json.dumps(schema['default'])}`" if "default" in schema else ""
    return f"| `{key}` | {default} | {_values(schema)} | {' '.join(schema['description'].split())} |"


def _values(schema: dict[str, Any]) -> str:
    match schema:
        case {"enum": values}:
            return ", ".join(f"`{json.dumps(value)}`" for value in values)
        case {"minimum": lowest, "maximum": highest}:
            return f"{lowest} to {highest}"
        case {"type": "boolean"}:
            return "`true`, `false`"
        case {"anyOf": kinds}:
            return ", or ".join(_values(kind) for kind in kinds)
        case {"type": "array"}:
            return f"list of {_values(schema['items'])}"
        case _:
            return f"text, such as `{json.dumps(schema['examples'][0])}`"


def main(arguments: list[str]) -> None:
    """Write both files, or the page to stdout."""
    if arguments != ["--write"]:
        sys.stdout.write(reference_page())
        return
    SCHEMA_FILE.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
    PAGE_FILE.write_text(reference_page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
