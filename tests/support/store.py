"""A shop with a database and real migrations by Flask-Migrate, or Alembic alone, one revision a file."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.apps import APPS
from tests.support.site import configure

# a second: each answer is a question to a database, and what is looked for is a loss, not the most it can do
RATE = 20

CREATES = (
    'op.create_table("item", sa.Column("id", sa.Integer, primary_key=True),'
    ' sa.Column("name", sa.String(80), nullable=False, server_default=""))'
)
ADDS_TITLE = 'op.add_column("item", sa.Column("title", sa.String(80)))'
RENAMES = 'op.alter_column("item", "name", new_column_name="title", existing_type=sa.String(80))'
FILLS_TITLE = 'op.execute("UPDATE item SET title = name WHERE title IS NULL")'
DROPS_NAME = 'op.drop_column("item", "name")'

BY_NAME = {"read": "SELECT name FROM item", "write": "INSERT INTO item (name) VALUES (:value)"}
BY_BOTH = {
    "read": "SELECT COALESCE(title, name) FROM item",
    "write": "INSERT INTO item (name, title) VALUES (:value, :value)",
}
# it lives with either name; SELECT * would not, where PostgreSQL has it prepared
BY_ANY = {"read": "SELECT id FROM item", "write": "INSERT INTO item DEFAULT VALUES"}
BY_TITLE = {"read": "SELECT title FROM item", "write": "INSERT INTO item (title) VALUES (:value)"}

_REVISION = '''"""{name}"""
import sqlalchemy as sa
import time
from alembic import op

revision = "{name}"
down_revision = {down!r}
{phase}

def upgrade():
    {body}
'''


# their own commands, so that all but the revisions is what users have
_FLASK = ("flask", "--app", "wsgi", "db", "init")
_ALEMBIC = ("alembic", "init", "migrations")


def make_store(folder: Path, **settings: Any) -> None:
    """A shop in Flask that sells items, with the first revision of its database."""
    _make(folder, "store.py", _FLASK, **settings)


def make_fast_store(folder: Path, **settings: Any) -> None:
    """The same in FastAPI, whose migrations are Alembic's alone."""
    _make(folder, "fast_store.py", _ALEMBIC, **settings)
    env = folder / "migrations" / "env.py"
    told = env.read_text().replace("config = context.config\n", f"config = context.config\n{_URL}", 1)
    assert _URL in told
    env.write_text(told)


_URL = 'import os\nconfig.set_main_option("sqlalchemy.url", os.environ["STORE_DATABASE"])\n'


def _make(folder: Path, app: str, init: tuple[str, ...], **settings: Any) -> None:
    folder.mkdir()
    (folder / "instance").mkdir()
    (folder / "wsgi.py").write_text((APPS / app).read_text())
    ask_by(folder, BY_NAME)
    subprocess.run((sys.executable, "-m", *init), cwd=folder, check=True, capture_output=True)
    add_revision(folder, "first", None, CREATES)
    configure(folder, **{"ready_timeout": "60s", "probe_rate": 10, **settings})


def ask_by(folder: Path, queries: dict[str, str]) -> None:
    """Have the code read and write its items by `queries`."""
    (folder / "queries.json").write_text(json.dumps(queries))


def revision_text(name: str, down: str | None, *body: str, phase: str = "") -> str:
    """The file of the revision `name`, which comes after `down` and does `body`; `phase` it asks for."""
    asks = f"phase = {phase!r}\n" if phase else ""
    return _REVISION.format(name=name, down=down, body="\n    ".join(body), phase=asks)


def add_revision(folder: Path, name: str, down: str | None, *body: str, phase: str = "") -> Path:
    """Write the file of `revision_text`."""
    file = folder / "migrations" / "versions" / f"{name}_.py"
    file.write_text(revision_text(name, down, *body, phase=phase))
    return file


def environment(database: str) -> dict[str, str]:
    """What leads a store to `database`."""
    return {**os.environ, "STORE_DATABASE": database}


def step(receipt: dict[str, Any], name: str = "migrate") -> str:
    """What the step `name` of a deploy has to say."""
    (found,) = (one["detail"] for one in receipt["steps"] if one["name"] == name)
    return str(found)


def revision_of(folder: Path) -> str:
    """The revision of the SQLite database that the project in `folder` has."""
    with closing(sqlite3.connect(folder / "instance" / "store.db")) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)
