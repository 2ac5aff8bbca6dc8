"""Finds the app that ``MODULE:ATTRIBUTE`` or ``MODULE:FACTORY(...)`` names, and says what kind it is.

The notation is Gunicorn's (`gunicorn.util.import_app`): without an attribute it is ``application``; a
factory's arguments are literals.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
from typing import Any

WSGI_PARAMETERS, ASGI_PARAMETERS = 2, 3


class NoApp(Exception):
    """The module has no such app."""


def load(name: str) -> Any:
    """The app called `name`.

    Raises:
        NoApp: there is none.
    """
    module, _, attribute = name.partition(":")
    app = _evaluate(importlib.import_module(module), attribute or "application")
    if not callable(app):
        raise NoApp("Application object must be callable.")
    return app


def _evaluate(module: Any, text: str) -> Any:
    try:
        expression = ast.parse(text, mode="eval").body
    except SyntaxError:
        expression = ast.Constant(None)
    call = expression if isinstance(expression, ast.Call) else None
    named = expression if call is None else call.func
    if not isinstance(named, ast.Name):
        raise NoApp(f"Failed to parse {text!r} as an attribute name or function call.")
    if not hasattr(module, named.id):
        raise NoApp(f"Failed to find attribute {named.id!r} in {module.__name__!r}.")
    found = getattr(module, named.id)
    return found if call is None else _call(found, call, text)


def _call(factory: Any, call: ast.Call, text: str) -> Any:
    try:
        given = [ast.literal_eval(one) for one in call.args]
        named = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    except ValueError:
        raise NoApp(f"Failed to parse arguments as literal values: {text!r}") from None
    try:
        inspect.signature(factory).bind(*given, **named)
    except (TypeError, ValueError) as error:
        raise NoApp(f"{text!r} can't be called: {error}") from None
    return factory(*given, **named)


def interface_of(app: Any) -> str:
    """`asgi` or `wsgi`: by whether a call is a coroutine, else by how many arguments it takes; else empty."""
    while isinstance(app, functools.partial):
        app = app.func
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None)):  # noqa: B004 - its kind is the question
        return "asgi"
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return ""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [one for one in parameters if one.default is one.empty and one.kind in positional]
    return {WSGI_PARAMETERS: "wsgi", ASGI_PARAMETERS: "asgi"}.get(len(needed), "")
