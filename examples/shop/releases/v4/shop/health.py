"""Can this process serve? It can when its database answers, and knows about currencies."""

import sqlite3

from flask import Blueprint
from flask.typing import ResponseReturnValue

from shop import store
from shop.version import VERSION

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    try:
        store.database().execute("SELECT currency FROM orders LIMIT 1")
    except sqlite3.Error as error:
        return {"status": "unhealthy", "reason": str(error), "version": VERSION}, 500
    return {"status": "ok", "version": VERSION}
