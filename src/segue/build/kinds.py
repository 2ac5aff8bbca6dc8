"""What kind of app an object of a project is, by its code."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from segue.build.code import Code, Module

_DEEPEST = 5  # imports that are followed

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Kind:
    """What kind of app an object is; empty where the code does not say.

    Attributes:
        framework: such as ``Flask``.
        interface: ``wsgi`` or ``asgi``.
    """

    framework: str = ""
    interface: str = ""


UNKNOWN = Kind()
FRAMEWORKS = {
    "apiflask.APIFlask": Kind("Flask", "wsgi"),
    "bottle.Bottle": Kind("Bottle", "wsgi"),
    "connexion.AsyncApp": Kind("Connexion", "asgi"),
    "connexion.FlaskApp": Kind("Connexion", "asgi"),
    "django.core.asgi.get_asgi_application": Kind("Django", "asgi"),
    "django.core.wsgi.get_wsgi_application": Kind("Django", "wsgi"),
    "falcon.API": Kind("Falcon", "wsgi"),
    "falcon.App": Kind("Falcon", "wsgi"),
    "falcon.asgi.App": Kind("Falcon", "asgi"),
    "fastapi.FastAPI": Kind("FastAPI", "asgi"),
    "fastapi.applications.FastAPI": Kind("FastAPI", "asgi"),
    "flask.Flask": Kind("Flask", "wsgi"),
    "flask.app.Flask": Kind("Flask", "wsgi"),
    "litestar.Litestar": Kind("Litestar", "asgi"),
    "quart.Quart": Kind("Quart", "asgi"),
    "starlette.applications.Starlette": Kind("Starlette", "asgi"),
}
# often called app, and nothing that a WSGI or ASGI server runs
_NO_APPS = frozenset(
    (
        "aiohttp.web.Application",
        "celery.Celery",
        "cyclopts.App",
        "dash.Dash",
        "procrastinate.App",
        "tornado.web.Application",
        "typer.Typer",
    )
)


def kind_of(code: Code, module: Module, name: str, depth: int = 0) -> Kind | None:
    """What kind of app `name` in `module` is, followed through imports; None where it is none."""
    if depth > _DEEPEST:
        return UNKNOWN
    match module.defined.get(name):
        case None:
            stars = (_kind_at(code, f"{star}.{name}", depth) for star in module.stars if code.module(star))
            return next((kind for kind in stars if kind is not None), None)
        case ast.Import() | ast.ImportFrom():
            return _kind_at(code, module.imported[name], depth)
        case ast.FunctionDef() | ast.AsyncFunctionDef() as function:
            return _kind_of_function(function)
        case ast.expr() as value:
            return _kind_of_value(code, module, value, depth)
    return None


def kind_of_factory(module: Module, function: Function) -> Kind:
    """What kind of app a function of `module` makes."""
    calls = (module.path_of(node.func) for node in ast.walk(function) if isinstance(node, ast.Call))
    return next((FRAMEWORKS[path] for path in calls if path in FRAMEWORKS), UNKNOWN)


def _kind_at(code: Code, path: str, depth: int) -> Kind | None:
    package, _, name = path.rpartition(".")
    if package and (module := code.module(package)):
        return kind_of(code, module, name, depth + 1)
    # a module is no app; what comes from elsewhere may be anything
    return None if code.module(path) or not package else UNKNOWN


def _kind_of_function(function: Function) -> Kind | None:
    """A function may be an app itself: known by the parameters that the specifications give it."""
    names = [one.arg for one in function.args.args]
    if isinstance(function, ast.AsyncFunctionDef):
        return Kind(interface="asgi") if names == ["scope", "receive", "send"] else None
    return Kind(interface="wsgi") if names[1:] == ["start_response"] else None


def _kind_of_value(code: Code, module: Module, value: ast.expr, depth: int) -> Kind | None:
    if isinstance(value, ast.Name):
        return kind_of(code, module, value.id, depth + 1)
    if not isinstance(value, ast.Call):
        return None if isinstance(value, ast.Constant) and value.value is None else UNKNOWN
    path = module.path_of(value.func)
    if path in _NO_APPS:
        return None
    return FRAMEWORKS.get(path) or _kind_made_by(code, module, path)


def _kind_made_by(code: Code, module: Module, path: str) -> Kind:
    """What comes of a call of the project's own function or class at `path`."""
    package, _, name = path.rpartition(".")
    home = code.module(package) if package else module
    match home and home.defined.get(name):
        case ast.FunctionDef() as function if home is not None:
            return kind_of_factory(home, function)
        case ast.ClassDef(bases=bases) if home is not None:
            return next((FRAMEWORKS[at] for one in bases if (at := home.path_of(one)) in FRAMEWORKS), UNKNOWN)
    return UNKNOWN
