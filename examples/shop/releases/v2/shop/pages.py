"""What customers see."""

import humanize
from flask import Blueprint, render_template, request

from shop import store
from shop.catalogue import search

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def home() -> str:
    text = request.args.get("q", "")
    orders = humanize.intcomma(store.count())
    return render_template("home.html", products=search(text), text=text, orders=orders)
