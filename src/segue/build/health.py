"""Finds the path that an app answers health checks at: a literal route in its code, sure to be there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from segue.build.code import Code, Module
from segue.build.detect import App
from segue.build.kinds import FRAMEWORKS

# the one that is wanted most comes first
PATHS = ("/healthz", "/health", "/livez", "/ping", "/up", "/healthcheck", "/health-check")
_DECORATORS = frozenset({"api_route", "get", "route"})
_METHODS = frozenset({"add_api_route", "add_route", "add_url_rule"})
# what may be put below another path
_PARTS = frozenset({"APIBlueprint", "APIRouter", "Blueprint", "Router"})
_FRAMEWORKS = frozenset(path.rpartition(".")[2] for path in FRAMEWORKS)
_APPS = frozenset({"app", "application"})


@dataclass(frozen=True)
class Route:
    """A route for health checks.

    Attributes:
        path: where it is.
        where: the file that declares it.
    """

    path: str
    where: str


def find_health(code: Code, app: App) -> Route | None:
    """The route for health checks of `app`, if its code has one that nothing can have moved elsewhere."""
    home = app.module.partition(":")[0]
    if app.kind.framework == "Django":
        # only the urls beside the settings are sure to be at the root
        urls = code.module(f"{home.rpartition('.')[0]}.urls".lstrip("."))
        found = [Route(f"/{path}", str(urls.path)) for path in _django(urls)] if urls else []
    else:
        modules = list(_reached(code, home))
        moved = any(_moves(module) for module in modules)
        found = [Route(path, str(one.path)) for one in modules for path in _declared(one, moved=moved)]
    known = [route for route in found if route.path.rstrip("/") in PATHS]
    return min(known, key=lambda route: PATHS.index(route.path.rstrip("/")), default=None)


def _reached(code: Code, start: str) -> Iterator[Module]:
    """The module called `start`, and those of the project that are imported with it."""
    seen, waiting = {""}, [start]
    while waiting:
        name = waiting.pop()
        # `shop.pages.blueprint` may be a module, or a name in one; and its packages are imported, too
        waiting += {name.rpartition(".")[0]} - seen
        module = code.module(name) if name not in seen else None
        seen.add(name)
        if module is not None:
            yield module
            waiting += {*module.imported.values(), *module.stars} - seen


def _moves(module: Module) -> bool:
    """Whether it may put routes that are declared elsewhere below another path."""
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    made = {name for name, call in _named_calls(module) if _last(call.func) in _FRAMEWORKS}
    return any(_mounts(call) or _includes_below(call, _APPS | made) for call in calls)


def _includes_below(call: ast.Call, apps: frozenset[str]) -> bool:
    """Whether it takes in a blueprint or router with a prefix, or into what may have one itself."""
    owner = _last(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    includes = _last(call.func) in ("include_router", "register_blueprint")
    return includes and (owner not in apps or _has_prefix(call))


def _has_prefix(call: ast.Call) -> bool:
    values = [one.value for one in call.keywords if one.arg in ("prefix", "url_prefix")]
    return any(not isinstance(one, ast.Constant) or bool(one.value) for one in values)


def _mounts(call: ast.Call) -> bool:
    values = [*call.args, *(one.value for one in call.keywords)]
    files = (isinstance(one, ast.Call) and _last(one.func) == "StaticFiles" for one in values)
    return _last(call.func) in ("mount", "Mount") and not any(files)


def _declared(module: Module, *, moved: bool) -> Iterator[str]:
    """The paths of its routes that are sure to be what they say; `moved` is whether any may be moved."""
    parts = {name: call for name, call in _named_calls(module) if _last(call.func) in _PARTS}
    for call in _declarations(module):
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        part = parts.get(_last(owner)) if owner is not None else None
        inside = owner is None or part is not None
        if _takes_get(call) and not (moved and inside) and not (part is not None and _has_prefix(part)):
            yield _first(call)


def _django(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _last(node.func) == "path":
            yield _first(node)


def _declarations(module: Module) -> Iterator[ast.Call]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # `.get("/health")` elsewhere is a client's, or a dict's
            calls = [one for one in node.decorator_list if isinstance(one, ast.Call)]
            yield from (one for one in calls if _last(one.func) in _DECORATORS)
        elif isinstance(node, ast.Call) and _last(node.func) in (*_METHODS, "Route"):
            yield node


def _takes_get(call: ast.Call) -> bool:
    methods = [node for one in call.keywords if one.arg == "methods" for node in ast.walk(one.value)]
    return not methods or any(
        isinstance(one, ast.Constant) and one.value in ("GET", "get") for one in methods
    )


def _first(call: ast.Call) -> str:
    value = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
    return value if isinstance(value, str) else ""


def _named_calls(module: Module) -> Iterator[tuple[str, ast.Call]]:
    """Every name that a call gives a value to, with the call."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            for target in node.targets:
                yield _last(target), node.value


def _last(node: ast.AST) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""
