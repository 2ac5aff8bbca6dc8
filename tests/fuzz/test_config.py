"""Whatever the file holds, loading it ends in a config or in a UsageError."""

import contextlib
import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.damage import overwritten

from segue.config.load import load_config
from segue.config.project import find_project
from segue.config.reference import json_schema
from segue.config.schema import AppConfig, Process, Target
from segue.core.errors import UsageError

SCHEMA = jsonschema.Draft202012Validator(json_schema())
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
plausible = st.sampled_from(
    [
        "wsgi:app",
        "30s",
        "0s",
        "90m",
        "/healthz",
        "127.0.0.1:0",
        "unix:/x",
        "gunicorn",
        "uvicorn",
        "sync",
        "https",
        "a b",
        "secret?",
    ]
)
scalars = st.booleans() | st.integers() | st.integers(0, 9) | st.floats() | texts | plausible
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
keys = st.sampled_from(sorted(AppConfig.model_fields | Target.model_fields | Process.model_fields)) | texts
tables = st.dictionaries(keys, values, max_size=6)
documents = st.fixed_dictionaries(
    {},
    optional={
        "app": tables | values,
        "processes": st.dictionaries(st.sampled_from(["worker"]) | texts, tables | values, max_size=3)
        | values,
        "env": st.dictionaries(st.sampled_from(["KEY", "a-b"]) | texts, scalars | plausible, max_size=3)
        | values,
        "targets": st.dictionaries(st.sampled_from(["local", "web"]) | texts, tables | values, max_size=3)
        | values,
        "other": values,
    },
)


SAMPLE = """\
[app]
name = "shop"   # a comment
module = 'shop:create_app("a b")'
bind = "[::1]:8000"
workers = 4
check = "/healthz"
watch = "2s"
watch_limit = "1m"
keep = 0x5
shared = ["data", "media/up"]

[processes]
worker = "celery -A 'the shop' worker"
beat = { command = ["celery", "beat"], single = true, drain_timeout = "2m" }

[targets."production"]
host = "deploy@web1"
domain = "shop.example"
workers = 8

[targets.local]
bind = "unix:/tmp/x"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop")


def load(project: Path, content: bytes, target: str | None = None) -> AppConfig | UsageError:
    (project / "segue.toml").write_bytes(content)
    try:
        return load_config(project, {}, target)
    except UsageError as error:
        return error


def toml(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return str(value).lower()
        case _:
            return repr(value)


@given(st.binary() | texts.map(str.encode))
@example(b"\xef\xbb\xbf[app]\n")
@example(b"a = 1979-13-01")
@example(b"a = " + b"{b = " * 5000)
def test_any_bytes(project: Path, content: bytes) -> None:
    load(project, content)


@given(documents, st.none() | texts | st.sampled_from(["local", "web"]))
def test_any_document(project: Path, document: dict[str, Any], target: str | None) -> None:
    content = "".join(f"{key} = {toml(value)}\n" for key, value in document.items())
    assert repr(tomllib.loads(content)) == repr(document)
    loaded = load(project, content.encode(), target)
    if isinstance(loaded, AppConfig):
        assert SCHEMA.is_valid(document)
        assert AppConfig.model_validate(loaded.model_dump(mode="json")) == loaded
    else:
        assert all(len(line) < 400 for line in loaded.evidence.splitlines() if not line.startswith("known"))


@given(overwritten(SAMPLE.encode()), st.sampled_from([None, "local", "production"]))
@example(SAMPLE.encode(), "production")
def test_a_file_that_somebody_sat_on(project: Path, content: bytes, target: str | None) -> None:
    load(project, content, target)


@given(
    overwritten(
        SAMPLE.replace("[app]", "[tool.segue.app]").replace("[targets", "[tool.segue.targets").encode()
    )
)
def test_a_pyproject_that_somebody_sat_on(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "other"
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_bytes(content)
    assert find_project(folder) in (folder, *folder.parents)
    with contextlib.suppress(UsageError):
        assert isinstance(load_config(folder, {}), AppConfig)


@given(st.dictionaries(keys, values | st.none(), max_size=6), st.sampled_from([None, "local", "production"]))
def test_any_flags(project: Path, flags: dict[str, Any], target: str | None) -> None:
    (project / "segue.toml").write_text(SAMPLE)
    with contextlib.suppress(UsageError):
        assert isinstance(load_config(project, flags, target), AppConfig)
