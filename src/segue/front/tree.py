"""nginx's config as it is written, with all that it includes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PORT = re.compile(r"(?:.*:)?(\d+)")
_USUAL_PORT = "80"


@dataclass(frozen=True)
class Directive:
    """One directive.

    Attributes:
        file: where it stands.
        line: its line there, from 1.
        name: its first word.
        args: its other words.
        block: what it holds in braces.
    """

    file: Path
    line: int
    name: str
    args: tuple[str, ...]
    block: tuple[Directive, ...]

    @property
    def where(self) -> str:
        """Its place, for people."""
        return f"{self.file}:{self.line}"

    def inner(self, name: str) -> Iterator[Directive]:
        """The directives of that name right in it."""
        return (directive for directive in self.block if directive.name == name)


@dataclass(frozen=True)
class Served:
    """A name that a site answers to, at a port."""

    name: str
    port: str
    server: Directive


def read_tree(conf: Path) -> Directive:
    """The whole config that begins in `conf`, as the block of one nameless directive.

    What can't be parsed is left out: whether a config is sound is nginx's to say.

    Raises:
        OSError: `conf` can't be read.
    """
    from crossplane import parse  # noqa: PLC0415 - takes 40 ms, and only a setup needs it

    files = parse(str(conf), check_ctx=False, check_args=False)["config"]
    return Directive(conf, 1, "", (), tuple(_directives(files, files[0], ())))


def _directives(
    files: list[dict[str, Any]], file: dict[str, Any], inside: tuple[str, ...]
) -> Iterator[Directive]:
    yield from _block(files, file["file"], file["parsed"], (*inside, file["file"]))


def _block(
    files: list[dict[str, Any]], path: str, statements: list[dict[str, Any]], inside: tuple[str, ...]
) -> Iterator[Directive]:
    for statement in statements:
        for index in statement.get("includes", []):
            if files[index]["file"] not in inside:
                yield from _directives(files, files[index], inside)
        block = tuple(_block(files, path, statement.get("block", []), inside))
        yield Directive(
            Path(path), statement["line"], statement["directive"], tuple(statement["args"]), block
        )


def served(tree: Directive) -> Iterator[Served]:
    """Every name that the config serves over HTTP, once for each port."""
    for http in tree.inner("http"):
        for server in http.inner("server"):
            names = {_plain(word) for directive in server.inner("server_name") for word in directive.args}
            ports = {_port(directive.args) for directive in server.inner("listen")} or {_USUAL_PORT}
            yield from (Served(name, port, server) for name in sorted(names) for port in sorted(ports))


def _plain(name: str) -> str:
    # ".shop.example" is shop.example and all names below it
    return name.lower().removeprefix(".")


def _port(args: tuple[str, ...]) -> str:
    match = _PORT.fullmatch(args[0]) if args else None
    return match[1] if match else _USUAL_PORT


def words_of(tree: Directive, name: str) -> tuple[str, ...]:
    """The words of the main context's first directive of that name; none where there is no such directive."""
    return next((directive.args for directive in tree.inner(name)), ())
