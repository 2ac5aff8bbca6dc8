"""The shop of store.py in FastAPI, whose migrations are Alembic's alone."""

import json
import os
import pathlib
from typing import Any

import fastapi
import sqlalchemy

QUERIES = json.loads(pathlib.Path(__file__).with_name("queries.json").read_text())

app = fastapi.FastAPI()
engine = sqlalchemy.create_engine(os.environ["STORE_DATABASE"])


def ask(query: str, **values: str) -> list[Any]:
    with engine.begin() as connection:
        result = connection.execute(sqlalchemy.text(QUERIES[query]), values)
        return [row[0] for row in result] if result.returns_rows else []


@app.get("/healthz")
def healthz() -> dict[str, int]:
    return {"items": len(ask("read"))}


@app.get("/")
def items() -> dict[str, list[str]]:
    return {"items": ask("read")[:3]}


@app.post("/items", status_code=201)
def add(name: str = "a kettle") -> dict[str, bool]:
    ask("write", value=name)
    return {"added": True}
