"""Leaf & Kettle, a tea shop: small enough to read over a cup, real enough to be worth not breaking."""

from flask import Flask

from shop import health, orders, pages, patience, store
from shop.version import VERSION


def create_app() -> Flask:
    app = Flask(__name__)
    store.prepare(app)
    for part in (pages, orders, health, patience):
        app.register_blueprint(part.blueprint)
    app.context_processor(lambda: {"version": VERSION})
    return app
