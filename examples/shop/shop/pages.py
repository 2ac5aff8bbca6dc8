"""What customers see."""

from flask import Blueprint, render_template

from shop import store
from shop.catalogue import PRODUCTS

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def home() -> str:
    return render_template("home.html", products=PRODUCTS, orders=store.count())
