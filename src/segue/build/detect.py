"""Finds the app of a project that does not name it: the strongest sign wins, and a draw is a question."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segue.build.code import Code, Module, read_code
from segue.build.declared import find_declared
from segue.build.kinds import UNKNOWN, Function, Kind, kind_of, kind_of_factory
from segue.build.packages import declared, installs_itself
from segue.build.web_command import web_commands
from segue.core.errors import UsageError

_OBJECTS = ("app", "application")
_FACTORIES = ("create_app", "make_app")
_MODULES = ("wsgi", "asgi", "app", "main", "application")
_ASGI_SERVERS = frozenset({"channels", "daphne", "hypercorn", "uvicorn"})
_NO_PACKAGES = frozenset(
    {"benchmarks", "build", "conftest", "dist", "docs", "doc", "examples", "example", "migrations", "scripts"}
    | {"setup", "test", "tests"}
)
_SOURCES = PurePosixPath("src")
_SETTINGS = re.compile(r"""["']DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")
_FLASK_APP = re.compile(r"""^\s*(?:export\s+)?FLASK_APP\s*=\s*(["']?)(.+?)\1\s*$""", re.MULTILINE)
# what a config may hold
_WRITTEN = re.compile(r"[\w.]+:\w+(\([ -~]*\))?", re.ASCII)
_HINT = 'name it: `segue up MODULE:APP`, or module = "MODULE:APP" in segue.toml'


@dataclass(frozen=True)
class App:
    """An app that was found.

    Attributes:
        module: ``MODULE:ATTRIBUTE`` or ``MODULE:FACTORY()``.
        kind: what kind of app it is.
        where: the file that says so.
    """

    module: str
    kind: Kind
    where: str


def detect_module(project: Path) -> str:
    """The app of `project` as ``MODULE:ATTRIBUTE``.

    Raises:
        UsageError: nothing looks like an app, or two things equally do.
        SegueError: git would not work there.
    """
    return find_app(with_roots(read_code(project))).module


def find_app(code: Code) -> App:
    """The app of a project whose roots are known.

    Raises:
        UsageError: nothing looks like an app, or two things equally do.
    """
    for signs in (_by_commands, _by_flaskenv, _by_manage, _by_usual_files, _by_packages):
        found = {app.module: app for app in signs(code) if _WRITTEN.fullmatch(app.module)}
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            raise UsageError(
                "module",
                f"Which app is meant? {code.folder} has {len(found)}.",
                evidence="\n".join(f"{app.module}, by {app.where}" for app in found.values()),
                hint=_HINT,
            )
    raise UsageError(
        "module", f"No app was found in {code.folder}.", evidence="\n".join(_looked_at(code)), hint=_HINT
    )


def with_roots(code: Code) -> Code:
    """`code`, with ``src`` as a root too where a release has the project itself installed."""
    found = find_declared(code.folder)
    if installs_itself(code) or (found is not None and found.is_package()):
        return Code(code.folder, code.files, (*code.roots, _SOURCES))
    return code


def _looked_at(code: Code) -> Iterator[str]:
    files = ", ".join(f"{name}.py" for name in _MODULES)
    yield f"looked for app, application or create_app() in {files} and packages,"
    yield "for FLASK_APP in .flaskenv, manage.py, and the web command of a Procfile or a Dockerfile"
    if _SOURCES not in code.roots:
        hidden = [app for name in _packages(code, _SOURCES) for app in _in_package(_below_src(code), name)]
        for app in hidden:
            yield f"{app.where} has {app.module}; a line `.` in requirements.txt would have it installed"


def _below_src(code: Code) -> Code:
    return Code(code.folder, code.files, (_SOURCES,))


def _by_commands(code: Code) -> Iterator[App]:
    for command in web_commands(code):
        yield from _named(code, command.module, command.where)


def _by_flaskenv(code: Code) -> Iterator[App]:
    """FLASK_APP as Flask reads it: a module or a file, with or without the app's name in it."""
    for _, text in _FLASK_APP.findall(code.text(".flaskenv"))[-1:]:
        path, colon, attribute = text.partition(":")
        name = ".".join(PurePosixPath(path.removesuffix(".py")).parts)
        if colon:
            yield from _named(code, f"{name}:{attribute}", ".flaskenv")
        else:
            yield from itertools.islice(_in_modules(code, [name, f"{name}.wsgi", f"{name}.app"]), 1)


def _by_manage(code: Code) -> Iterator[App]:
    """Django's: beside the settings that manage.py names, or above them."""
    for settings in _SETTINGS.findall(code.text("manage.py"))[:1]:
        parents = [settings.rpartition(".")[0]]
        while parents[-1]:
            parents.append(parents[-1].rpartition(".")[0])
        names = [f"{one}.{entry}".lstrip(".") for one in parents for entry in _entries(code)[:2]]
        yield from itertools.islice(_in_modules(code, names), 1)


def _by_usual_files(code: Code) -> Iterator[App]:
    yield from itertools.islice(_in_modules(code, _entries(code)), 1)


def _by_packages(code: Code) -> Iterator[App]:
    """Packages, and then whatever other file makes an app of a framework that is known."""
    found = [app for root in code.roots for name in _packages(code, root) for app in _in_package(code, name)]
    sure = [app for app in found if app.kind.framework]
    others = (path.stem for path in code.files if len(path.parts) == 1 and path.suffix == ".py")
    rest = (name for name in others if name.isidentifier() and name not in _NO_PACKAGES)
    yield from sure or found or (app for app in _in_modules(code, rest) if app.kind.framework)


def _packages(code: Code, root: PurePosixPath) -> list[str]:
    inside = (path.relative_to(root).parts for path in code.files if path.is_relative_to(root))
    names = {parts[0] for parts in inside if len(parts) > 1}
    return sorted(name for name in names if name.isidentifier() and name not in _NO_PACKAGES)


def _in_package(code: Code, name: str) -> Iterator[App]:
    names = [name, *(f"{name}.{entry}" for entry in _entries(code))]
    return itertools.islice(_in_modules(code, names), 1)


def _entries(code: Code) -> tuple[str, ...]:
    """The usual modules: ASGI before WSGI only where the project says that it has a server for it."""
    wsgi, asgi, *rest = _MODULES
    asks_for_asgi = not _ASGI_SERVERS.isdisjoint(declared(code))
    return (asgi, wsgi, *rest) if asks_for_asgi else (wsgi, asgi, *rest)


def _in_modules(code: Code, names: Iterable[str]) -> Iterator[App]:
    for name in names:
        module = code.module(name) if name else None
        app = _app_in(code, module) if module is not None else None
        if app is not None:
            yield app


def _named(code: Code, text: str, where: str) -> Iterator[App]:
    """The app that `where` names, if the project has it."""
    name, _, attribute = text.partition(":")
    bare, call, _ = attribute.partition("(")
    module = code.module(name) if bare.isidentifier() else None
    if module is None:
        return
    made, kind = module.defined.get(bare), kind_of(code, module, bare)
    if call and isinstance(made, ast.expr):
        return  # an app is there, and no factory
    if kind is None and isinstance(made, Function) and (call or _needs_nothing(made)):
        kind, text = kind_of_factory(module, made), text if call else f"{text}()"
    if kind is not None:
        yield App(text, kind, where)


def _app_in(code: Code, module: Module) -> App | None:
    ways = (_objects(code, module), _made_by_frameworks(code, module), _factories(module))
    found = next(itertools.chain(*ways), None)
    return None if found is None else App(f"{module.name}:{found[0]}", found[1], str(module.path))


def _objects(code: Code, module: Module) -> Iterator[tuple[str, Kind]]:
    for name in _OBJECTS:
        if (kind := kind_of(code, module, name)) is not None:
            yield name, kind


def _made_by_frameworks(code: Code, module: Module) -> Iterator[tuple[str, Kind]]:
    """Apps of any other name, unless there are more of them than one."""
    values = (name for name, node in module.defined.items() if isinstance(node, ast.Call))
    kinds = [(name, kind_of(code, module, name) or UNKNOWN) for name in values]
    sure = [(name, kind) for name, kind in kinds if kind.framework]
    yield from sure if len(sure) == 1 else ()


def _factories(module: Module) -> Iterator[tuple[str, Kind]]:
    for name in _FACTORIES:
        made = module.defined.get(name)
        if isinstance(made, ast.FunctionDef) and _needs_nothing(made):
            yield f"{name}()", kind_of_factory(module, made)


def _needs_nothing(function: Function) -> bool:
    """Whether it can be called without arguments."""
    given = function.args
    positional = len(given.posonlyargs) + len(given.args)
    return positional == len(given.defaults) and None not in given.kw_defaults
