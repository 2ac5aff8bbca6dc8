"""What customers see."""

from flask import Blueprint, abort, render_template

from shop import store
from shop.catalogue import PRODUCTS, find_prodcut

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def home() -> str:
    return render_template("home.html", products=PRODUCTS, orders=store.count())


@blueprint.get("/teas/<slug>")
def tea(slug: str) -> str:
    product = find_prodcut(slug) or abort(404)
    return render_template("home.html", products=[product], orders=store.count())
