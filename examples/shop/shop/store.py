"""Orders, in one SQLite file that every worker of every running release shares.

During a deploy two releases write here at once. The write-ahead log lets readers and a writer work side by side,
and the busy timeout makes a second writer wait its turn instead of failing.
"""

import fcntl
import json
import sqlite3
from contextlib import closing
from pathlib import Path

from flask import Flask, current_app, g

BUSY_TIMEOUT = 10.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id PRIMARY KEY NOT NULL,
    items TEXT NOT NULL,
    placed_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)
"""


def prepare(app: Flask) -> None:
    folder = Path(app.instance_path)
    folder.mkdir(parents=True, exist_ok=True)
    app.config["DATABASE"] = folder / "shop.sqlite3"
    with (folder / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the busy timeout doesn't cover the change to WAL
        set_up(connect(app))
    app.teardown_appcontext(close)


def set_up(connection: sqlite3.Connection) -> None:
    with closing(connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(SCHEMA)


def connect(app: Flask) -> sqlite3.Connection:
    return sqlite3.connect(app.config["DATABASE"], timeout=BUSY_TIMEOUT, isolation_level=None)


def database() -> sqlite3.Connection:
    """This request's connection."""
    if "database" not in g:
        g.database = connect(current_app)
    return g.database


def close(_error: BaseException | None) -> None:
    if connection := g.pop("database", None):
        connection.close()


def add(order_id: int | str, items: list[str]) -> bool:
    """Store an order, once: False when this id was stored before."""
    statement = "INSERT INTO orders (id, items) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
    return database().execute(statement, (order_id, json.dumps(items))).rowcount == 1


def count() -> int:
    return database().execute("SELECT count(*) FROM orders").fetchone()[0]


def ids() -> list[int | str]:
    return [row[0] for row in database().execute("SELECT id FROM orders ORDER BY rowid")]
