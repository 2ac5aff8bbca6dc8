import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from segue.config.reference import PAGE_FILE, SCHEMA_FILE, json_schema, reference_page
from segue.config.schema import App, ConfigFile, Process, Target

ROOT = Path(__file__).parents[3]


def is_valid(text: str) -> bool:
    return bool(jsonschema.Draft202012Validator(json_schema()).is_valid(tomllib.loads(text)))


def test_the_committed_files_are_what_is_generated() -> None:
    stale = "run: python -m segue.config.reference --write"
    assert json.loads((ROOT / SCHEMA_FILE).read_text()) == json_schema(), stale
    assert (ROOT / PAGE_FILE).read_text() == reference_page(), stale


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_page_names_every_key_with_its_meaning() -> None:
    page = reference_page()
    for key, field in (App.model_fields | Target.model_fields | Process.model_fields).items():
        assert f"| `{key}` |" in page
        assert field.description
        assert " ".join(field.description.split()) in page


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[app]",
        '[app]\nname = "shop"\nmodule = "shop:create_app()"\nbind = "unix:/run/shop.sock"\nwatch = "250ms"\n',
        '[app]\nworkers = 4\n[targets.production]\nhost = "deploy@web1"\nworkers = 8\n',
        '[env]\nDATABASE_URL = "url"\n_x1 = "text?"\n',
        "[app]\nmigrate = false\n[targets.web]\nmigrate = 'flask db upgrade'\n",
        '[processes]\nworker = "celery worker"\nbeat = ["x"]\nother = { command = "x", single = true }\n',
        reference_page().partition("```toml\n")[2].partition("```")[0],
    ],
)
def test_the_schema_takes_what_the_loader_takes(text: str) -> None:
    ConfigFile.model_validate({"app": {"name": "x"}} | _named(tomllib.loads(text)))
    assert is_valid(text)


def _named(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"app": {"name": "x"} | document.get("app", {})}


@pytest.mark.parametrize(
    "text",
    [
        "workers = 4",
        "[app]\nwokers = 4",
        "[app]\nworkers = 0",
        '[app]\nworkers = "4"',
        "[app]\nwatch = 30",
        '[app]\nwatch = "30"',
        '[app]\nserver = "apache"',
        '[app]\nmodule = "wsgi"',
        "[app]\nmigrate = true",
        '[app]\nmigrate = ""',
        '[targets.web]\nname = "x"',
        '[processes]\nworker = ""',
        '[env]\nDATABASE_URL = "uri"',
        '[processes]\nworker = { command = "x", wait = "5s" }',
        "[targets.web]\nwokers = 4",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        ConfigFile.model_validate(_named(tomllib.loads(text)))
    assert not is_valid(text)


def test_every_default_and_example_fits_its_own_schema() -> None:
    for table in json_schema()["$defs"].values():
        for schema in table["properties"].values():
            for value in [*schema.get("examples", []), *([schema["default"]] if "default" in schema else [])]:
                jsonschema.validate(value, schema)


def test_a_target_repeats_no_default_of_the_app() -> None:
    schema = json_schema()["$defs"]
    app, target = schema["App"]["properties"], schema["Target"]["properties"]
    assert not [key for key in target if key in app and "default" in target[key]]
