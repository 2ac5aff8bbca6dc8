"""A shop's items in a database, whose migrations are Flask-Migrate's; queries.json has what it asks for."""

import json
import os
import pathlib
from typing import Any

import flask
import flask_migrate
import flask_sqlalchemy
import sqlalchemy

QUERIES = json.loads(pathlib.Path(__file__).with_name("queries.json").read_text())

app = flask.Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("STORE_DATABASE", "sqlite:///store.db")
db = flask_sqlalchemy.SQLAlchemy(app)
flask_migrate.Migrate(app, db)


def ask(query: str, **values: str) -> list[Any]:
    with db.engine.begin() as connection:
        result = connection.execute(sqlalchemy.text(QUERIES[query]), values)
        return [row[0] for row in result] if result.returns_rows else []


@app.get("/healthz")
def healthz() -> dict[str, int]:
    return {"items": len(ask("read"))}


@app.get("/")
def items() -> dict[str, list[str]]:
    return {"items": ask("read")[:3]}


@app.post("/items")
def add() -> tuple[dict[str, bool], int]:
    ask("write", value=flask.request.args.get("name", "a kettle"))
    return {"added": True}, 201
