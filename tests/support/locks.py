"""A project of Poetry's or PDM's with its lock file, as these tools write it."""

from __future__ import annotations

PROJECT = """\
[project]
name = "shop"
version = "1"
requires-python = ">=3.11,<4"
dependencies = ["cart"]

[project.optional-dependencies]
mail = ["mailer"]

[dependency-groups]
docs = ["pages"]
dev = ["linter"]

[tool.poetry]
package-mode = false

[tool.pdm]
distribution = false
"""
PACKAGES = {"cart": "main", "mailer": "mail", "pages": "docs", "linter": "dev"}
_POETRY_END = """
[extras]
mail = ["mailer"]

[metadata]
lock-version = "2.1"
python-versions = ">=3.11,<4"
content-hash = "7b5ed735c2d1760566d4201c26aaeea5b0cbb918fc64d1e56142e0b3764eb1c1"
"""
_PDM_BEGIN = """\
[metadata]
groups = ["default", "docs", "dev", "mail"]
strategy = ["inherit_metadata"]
lock_version = "4.5.0"
content_hash = "sha256:8cefc743b195a66637167bc868e058f1d1c29895eb634ec0b1dbd7e3e511b8dc"

[[metadata.targets]]
requires_python = ">=3.11,<4"
"""


def poetry_lock(hashes: dict[str, str]) -> str:
    """The poetry.lock of `PROJECT`, for packages with those hashes."""
    parts = [
        _package(name, hashes[name], 'python-versions = ">=3.8"', _poetry_group(name)) for name in PACKAGES
    ]
    return "".join([*parts, _POETRY_END])


def _poetry_group(name: str) -> str:
    if name == "mailer":
        return 'optional = true\ngroups = ["main"]\nmarkers = "extra == \\"mail\\""'
    return f'optional = false\ngroups = ["{PACKAGES[name]}"]'


def pdm_lock(hashes: dict[str, str]) -> str:
    """The pdm.lock of `PROJECT`, for packages with those hashes."""
    groups = {name: "default" if group == "main" else group for name, group in PACKAGES.items()}
    parts = [
        _package(name, hashes[name], 'requires_python = ">=3.8"\nsummary = ""', f'groups = ["{group}"]')
        for name, group in groups.items()
    ]
    return "".join([_PDM_BEGIN, *parts])


def _package(name: str, digest: str, *lines: str) -> str:
    file = f'{{file = "{name}-1.0-py3-none-any.whl", hash = "{digest}"}}'
    words = (f'name = "{name}"', 'version = "1.0"', 'description = ""', *lines, f"files = [\n    {file},\n]")
    return "\n".join(["\n[[package]]", *words, ""])
