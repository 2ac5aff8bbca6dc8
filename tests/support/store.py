"""A project with a database and real migrations by Flask-Migrate, one revision a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.apps import APPS
from tests.support.site import configure

CREATES = (
    'op.create_table("item", sa.Column("id", sa.Integer, primary_key=True),'
    ' sa.Column("name", sa.String(80), nullable=False, server_default=""))'
)
ADDS_TITLE = 'op.add_column("item", sa.Column("title", sa.String(80)))'
RENAMES = 'op.alter_column("item", "name", new_column_name="title", existing_type=sa.String(80))'
DROPS_NAME = 'op.drop_column("item", "name")'

BY_NAME = {"read": "SELECT name FROM item", "write": "INSERT INTO item (name) VALUES (:value)"}
BY_BOTH = {
    "read": "SELECT COALESCE(title, name) FROM item",
    "write": "INSERT INTO item (name, title) VALUES (:value, :value)",
}
BY_TITLE = {"read": "SELECT title FROM item", "write": "INSERT INTO item (title) VALUES (:value)"}

_REVISION = '''"""{name}"""
import sqlalchemy as sa
import time
from alembic import op

revision = "{name}"
down_revision = {down!r}


def upgrade():
    {body}
'''


def make_store(folder: Path, **settings: Any) -> None:
    """A project that sells items, with the first revision of its database."""
    folder.mkdir()
    (folder / "instance").mkdir()
    (folder / "wsgi.py").write_text((APPS / "store.py").read_text())
    ask_by(folder, BY_NAME)
    # Flask's own command, so that all but the revisions is what users have
    argv = (sys.executable, "-m", "flask", "--app", "wsgi", "db", "init")
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    add_revision(folder, "first", None, CREATES)
    configure(folder, **{"ready_timeout": "60s", "probe_rate": 10, **settings})


def ask_by(folder: Path, queries: dict[str, str]) -> None:
    """Have the code read and write its items by `queries`."""
    (folder / "queries.json").write_text(json.dumps(queries))


def add_revision(folder: Path, name: str, down: str | None, *body: str) -> Path:
    """Write the revision `name`, which comes after `down` and does `body`."""
    file = folder / "migrations" / "versions" / f"{name}_.py"
    file.write_text(_REVISION.format(name=name, down=down, body="\n    ".join(body)))
    return file


def environment(database: str) -> dict[str, str]:
    """What leads a store to `database`."""
    return {**os.environ, "STORE_DATABASE": database}
