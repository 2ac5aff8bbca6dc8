"""Taking orders.

The customer's browser names the order, so that sending it again after a lost answer can't place it twice.
"""

from typing import Any, NoReturn

from flask import Blueprint, abort, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from shop import store
from shop.catalogue import find_product

LARGEST_ID = 2**63 - 1

blueprint = Blueprint("orders", __name__, url_prefix="/orders")


@blueprint.post("")
def place() -> ResponseReturnValue:
    order = request.get_json()
    if not isinstance(order, dict):
        refuse("an order is a JSON object")
    order_id, items = valid_id(order.get("id")), valid_items(order.get("items", []))
    is_new = store.add(order_id, items)
    return {"id": order_id, "items": items}, 201 if is_new else 200


@blueprint.get("/count")
def count() -> ResponseReturnValue:
    return {"count": store.count()}


@blueprint.get("/ids")
def ids() -> ResponseReturnValue:
    return {"ids": store.ids()}


def valid_id(order_id: Any) -> int | str:
    if type(order_id) is int and 0 <= order_id <= LARGEST_ID:
        return order_id
    if type(order_id) is str and order_id:
        return order_id
    refuse("an order needs an id: a whole number or a text")


def valid_items(items: Any) -> list[str]:
    if not isinstance(items, list):
        refuse("items is a list of teas")
    for item in items:
        if not isinstance(item, str) or not find_product(item):
            refuse(f"there is no tea called {item!r}")
    return items


def refuse(reason: str) -> NoReturn:
    abort(make_response(jsonify(error=reason), 400))
