"""The Python files of a project, read and never imported: which modules there are, and what each defines."""

from __future__ import annotations

import ast
import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from segue.build.snapshot import files_to_copy
from segue.build.source import resolve_source

_LARGEST = 1 << 20


@dataclass(frozen=True)
class Module:
    """One module of a project.

    Attributes:
        name: as an import names it.
        path: its file, relative to the project.
        tree: what is in it.
    """

    name: str
    path: PurePosixPath
    tree: ast.Module

    @cached_property
    def defined(self) -> dict[str, ast.AST]:
        """What it names while it is imported: the value, function, class or import behind each name."""
        return dict(_definitions(self.tree.body))

    @cached_property
    def imported(self) -> dict[str, str]:
        """The dotted path of each name that an import binds, anywhere in it."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for one in node.names:
                    first = one.name.partition(".")[0]
                    found[one.asname or first] = one.name if one.asname else first
            elif isinstance(node, ast.ImportFrom):
                found |= {one.asname or one.name: f"{self._base(node)}.{one.name}" for one in node.names}
        return found

    @cached_property
    def stars(self) -> list[str]:
        """The modules that it takes all names from."""
        nodes = [node for node in self.tree.body if isinstance(node, ast.ImportFrom)]
        return [self._base(node) for node in nodes if node.names[0].name == "*"]

    def path_of(self, node: ast.AST) -> str:
        """The dotted path that a name or an attribute stands for; empty for anything else."""
        if isinstance(node, ast.Attribute):
            before = self.path_of(node.value)
            return f"{before}.{node.attr}" if before else ""
        return self.imported.get(node.id, node.id) if isinstance(node, ast.Name) else ""

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        package = parts[: len(parts) - node.level + (self.path.name == "__init__.py")]
        return ".".join((*package, *(() if node.module is None else (node.module,))))


def _definitions(body: list[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        match node:
            case ast.Assign(targets=targets, value=value):
                yield from ((one.id, value) for one in targets if isinstance(one, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Import() | ast.ImportFrom():
                yield from ((one.asname or one.name.partition(".")[0], node) for one in node.names)
            case ast.If() | ast.Try() | ast.With() | ast.ExceptHandler() if not _is_main(node):
                for part in ("body", "handlers", "orelse", "finalbody"):
                    yield from _definitions(getattr(node, part, []))


def _is_main(node: ast.stmt | ast.ExceptHandler) -> bool:
    return isinstance(node, ast.If) and "__main__" in ast.dump(node.test)


@dataclass(frozen=True)
class Code:
    """What a release of a project would hold.

    Attributes:
        folder: the project's.
        files: all of its files, relative to it, in order.
        roots: the folders that its modules are imported from.
    """

    folder: Path
    files: tuple[PurePosixPath, ...]
    roots: tuple[PurePosixPath, ...] = (PurePosixPath(),)
    _parsed: dict[PurePosixPath, Module | None] = field(default_factory=dict, compare=False)

    @cached_property
    def _known(self) -> frozenset[PurePosixPath]:
        return frozenset(self.files)

    def has(self, path: PurePosixPath | str) -> bool:
        """Whether there is a file at `path`."""
        return PurePosixPath(path) in self._known and (self.folder / path).is_file()

    def text(self, path: PurePosixPath | str) -> str:
        """The file at `path`; empty where there is none, or none that somebody could have written by hand."""
        whole = self.folder / path
        if not self.has(path) or whole.stat().st_size > _LARGEST:
            return ""
        return whole.read_text(encoding="utf-8", errors="replace")

    def module(self, name: str) -> Module | None:
        """The module of the project that an import of `name` would find, if Python could read it."""
        inner = PurePosixPath(*name.split("."))
        for root in self.roots:
            for path in (root / inner / "__init__.py", root / f"{inner}.py"):
                if self.has(path):
                    return self._parse(path, name)
        return None

    def _parse(self, path: PurePosixPath, name: str) -> Module | None:
        if path not in self._parsed:
            tree = parse(self.text(path))
            self._parsed[path] = None if tree is None else Module(name, path, tree)
        return self._parsed[path]


def parse(text: str) -> ast.Module | None:
    """`text` as Python; None where it is none that this Python reads."""
    with warnings.catch_warnings(), contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        warnings.simplefilter(
            "ignore"
        )  # what the project's authors are to mend, they hear from their own Python
        return ast.parse(text)
    return None


def read_code(project: Path) -> Code:
    """The code of `project`.

    Raises:
        SegueError: git would not work there.
    """
    files = files_to_copy(resolve_source(project, None), ())
    return Code(project, tuple(sorted(path for path in files if os.path.lexists(project / path))))
