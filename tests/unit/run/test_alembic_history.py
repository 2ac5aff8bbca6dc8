"""Alembic by itself, through a project's own env.py, as the gate runs it: read, run once, and done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from segue.run.generation import GATE

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {down!r}
{phase}

def upgrade():
    op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))
"""


def project(folder: Path) -> None:
    argv = (sys.executable, "-m", "alembic", "init", "migrations")
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    ini = folder / "alembic.ini"
    ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", "sqlite:///shop.db"))
    add(folder, "a1", None)


def add(folder: Path, name: str, down: str | tuple[str, ...] | None, phase: str = "") -> None:
    text = REVISION.format(name=name, down=down, phase=phase)
    (folder / "migrations" / "versions" / f"{name}_.py").write_text(text)


def migrate(folder: Path, *revisions: str) -> dict[str, Any]:
    result = folder / "result.json"
    words = ("migrate", str(result), "60", str(os.getpid()), "wsgi:app", "alembic", *revisions)
    argv = (sys.executable, str(GATE / "start.py"), *words)
    subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=60)
    document: dict[str, Any] = json.loads(result.read_text())
    return document


def test_a_project_with_alembic_alone_is_read_and_migrated(tmp_path: Path) -> None:
    project(tmp_path)
    add(tmp_path, "a2", "a1")
    found = migrate(tmp_path)
    assert (found["heads"], found["current"], found["unknown"]) == (["a2"], [], [])
    assert [(one["revision"], one["class"]) for one in found["pending"]] == [
        ("a1", "expand"),
        ("a2", "expand"),
    ]
    assert found["pending"][0]["where"] == "migrations/versions/a1_.py:10"
    # what was not judged is not run
    assert migrate(tmp_path, "atomic", "a2")["kind"] == "changed"
    assert migrate(tmp_path, "atomic", "a1", "a2") == {"kind": "ok", "applied": ["a1", "a2"]}
    assert migrate(tmp_path, "piecemeal", "a1", "a2") == {"kind": "ok", "applied": []}
    assert migrate(tmp_path)["current"] == ["a2"]
    assert migrate(tmp_path)["transactional"] is False
    assert (tmp_path / "shop.db.migrating").exists()


def test_part_of_what_is_pending_can_be_run_of_branches_too(tmp_path: Path) -> None:
    project(tmp_path)
    for name, down, phase in (
        ("a2", "a1", ""),
        ("b2", "a1", ""),
        ("c3", ("a2", "b2"), 'phase = "post"'),
    ):
        add(tmp_path, name, down, phase)
    found = {one["revision"]: one for one in migrate(tmp_path)["pending"]}
    assert {name: one["phase"] for name, one in found.items()} == {"a1": "", "a2": "", "b2": "", "c3": "post"}
    assert (found["a1"]["needs"], sorted(found["c3"]["needs"])) == ([], ["a2", "b2"])
    ran = migrate(tmp_path, "atomic", "a1", "a2", "b2")
    assert (ran["applied"][0], sorted(ran["applied"])) == ("a1", ["a1", "a2", "b2"])
    assert sorted(migrate(tmp_path)["current"]) == ["a2", "b2"]
    assert migrate(tmp_path, "atomic", "a1", "b2") == {"kind": "ok", "applied": []}
    assert migrate(tmp_path, "atomic", "c3") == {"kind": "ok", "applied": ["c3"]}
