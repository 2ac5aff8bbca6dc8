"""Values that the file writes as text: what they look like, how they are read and written back."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic_core import CoreSchema, core_schema

from segue.core.address import Address, parse_address
from segue.core.contract import KEY, KINDS
from segue.core.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

_LONGEST = "24h"


@dataclass(frozen=True)
class Written:
    """Marks a type as text in the file; read only from text, so that the file has one way to say it.

    Attributes:
        pattern: what the whole text looks like, in the words that Python and ECMA share, for editors too.
        what: what it is, as in ``should be a duration``.
        example: one such text.
        read: the value that a text means; its ValueError says what the text should be, without repeating it.
        write: the text that `read` turns back into an equal value.
    """

    pattern: str
    what: str
    example: str
    read: Callable[[str], Any] = str
    write: Callable[[Any], str] = str

    def parse(self, value: object) -> Any:
        """The value that `value` writes.

        Raises:
            ValueError: `value` is no text, or not such a text.
        """
        if not isinstance(value, str) or re.fullmatch(self.pattern, value) is None:
            raise ValueError(f'should be {self.what}, such as "{self.example}"')
        return self.read(value)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(self.write, when_used="json")
        return core_schema.no_info_plain_validator_function(self.parse, serialization=written)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^(?:{self.pattern})$", "examples": [self.example]}


def _seconds(text: str) -> float:
    seconds = parse_duration(text)
    if seconds > parse_duration(_LONGEST):
        raise ValueError(f'should be at most "{_LONGEST}"')
    return seconds


def _some_seconds(text: str) -> float:
    seconds = _seconds(text)
    if seconds == 0:
        raise ValueError("should be longer than nothing")
    return seconds


def _write_seconds(seconds: float) -> str:
    return f"{Decimal(repr(seconds)).normalize():f}s"


def _full_path(text: str) -> Path:
    path = PurePosixPath(text)
    if ".." in path.parts:
        raise ValueError('should have no ".." in it')
    return Path(path)


def _folder_url(text: str) -> str:
    if set(text.strip("/").split("/")) & {".", ".."}:
        raise ValueError('should have no "." and no ".." in it')
    return text


def _inner_path(text: str) -> Path:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("should be a path inside the project, relative to it")
    return Path(path)


SERVERS = ("gunicorn", "uvicorn", "granian")
SOCKET = "{socket}"


@dataclass(frozen=True)
class ServerWritten:
    """Marks what runs an app: a server that segue knows, by name, or a command with ``{socket}``."""

    def parse(self, value: object) -> str | tuple[str, ...]:
        """The server that `value` writes.

        Raises:
            ValueError: it writes none.
        """
        if value in SERVERS:
            return str(value)
        words = value if isinstance(value, list | tuple) else ()
        if words and all(isinstance(word, str) and word.isprintable() and word for word in words):
            if sum(word.count(SOCKET) for word in words) == 1:
                return tuple(words)
            raise ValueError(f'should be a command with "{SOCKET}" in it once: where it is to listen')
        named = ", ".join(f'"{name}"' for name in SERVERS)
        raise ValueError(f'should be {named}, or a command such as ["my-server", "--socket", "{SOCKET}"]')

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        def write(server: str | tuple[str, ...]) -> str | list[str]:
            return server if isinstance(server, str) else list(server)

        written = core_schema.plain_serializer_function_ser_schema(write, when_used="json")
        return core_schema.no_info_plain_validator_function(self.parse, serialization=written)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        words = {"type": "array", "items": _word_schema("my-server")}
        return {"anyOf": [{"enum": list(SERVERS)}, words]}


@dataclass(frozen=True)
class CommandWritten:
    """Marks a command: one text with a shell's quotes, or the list of its words. No shell ever runs it."""

    def parse(self, value: object) -> tuple[str, ...]:
        """The words that `value` writes.

        Raises:
            ValueError: it writes no command.
        """
        try:
            words = shlex.split(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ValueError(f"should be a command: {str(error).lower()}") from None
        words = words if isinstance(words, list | tuple) else ()
        if words and all(isinstance(word, str) and word.isprintable() and word for word in words):
            return tuple(words)
        raise ValueError('should be a command, such as "celery -A shop worker" or ["celery", "-A", "shop"]')

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(list, when_used="json")
        return core_schema.no_info_plain_validator_function(self.parse, serialization=written)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "anyOf": [
                _word_schema("celery -A shop worker"),
                {"type": "array", "items": _word_schema("celery")},
            ]
        }


@dataclass(frozen=True)
class CommandOrFalseWritten(CommandWritten):
    """Marks a command, as `CommandWritten` does, or `false` for none."""

    def parse(self, value: object) -> Any:
        """The words that `value` writes, or False.

        Raises:
            ValueError: it writes neither.
        """
        if value is False:
            return False
        try:
            return super().parse(value)
        except ValueError as error:
            raise ValueError(f"{error}, or false") from None

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        def write(command: Any) -> Any:
            return command and list(command)

        written = core_schema.plain_serializer_function_ser_schema(write, when_used="json")
        return core_schema.no_info_plain_validator_function(self.parse, serialization=written)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        command = super().__get_pydantic_json_schema__(schema, handler)
        return {"anyOf": [*command["anyOf"], {"enum": [False]}]}


def _word_schema(example: str) -> JsonSchemaValue:
    return {"type": "string", "pattern": f"^(?:{_PRINTABLE})$", "examples": [example]}


Server = Annotated[str | tuple[str, ...], ServerWritten()]
Command = Annotated[tuple[str, ...], CommandWritten()]
CommandOrFalse = Annotated[Literal[False] | tuple[str, ...], CommandOrFalseWritten()]
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_PRINTABLE = r"[^\u0000-\u001f\u007f-\u009f]+"
_DURATION = r"[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h)"
_A_DURATION = "a duration in quotes with its unit"

Seconds = Annotated[float, Written(_DURATION, _A_DURATION, "30s", _seconds, _write_seconds)]
SomeSeconds = Annotated[float, Written(_DURATION, _A_DURATION, "30s", _some_seconds, _write_seconds)]
Name = Annotated[
    str,
    Written(
        r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}",
        'a name of 1 to 64 letters, digits, ".", "_" or "-" that begins with neither "." nor "-"',
        "shop",
    ),
]
Module = Annotated[
    str,
    Written(
        rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*:{_IDENTIFIER}(?:\({_PRINTABLE}\)|\(\))?",
        '"MODULE:APP" or "MODULE:FACTORY()"',
        "wsgi:app",
    ),
]
Bind = Annotated[
    Address,
    Written(
        r"unix:/.+|.+:[0-9]+",
        '"HOST:PORT", "[IPV6]:PORT" or "unix:/PATH"',
        "127.0.0.1:8000",
        parse_address,
    ),
]
FilePath = Annotated[Path, Written(_PRINTABLE, "a path", ".venv/bin/python", Path)]
InnerPath = Annotated[Path, Written(_PRINTABLE, "a path inside the project", "conf/web.py", _inner_path)]
PlainFolder = Annotated[
    Path,
    Written(
        r"[A-Za-z0-9._@+/-]+",
        "a folder inside the project, without blanks",
        "static",
        _inner_path,
    ),
]
Word = Annotated[str, Written(_PRINTABLE, "one word of a command line", "--proxy-headers")]
PackageExtra = Annotated[
    str,
    Written(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", "a name that pyproject.toml gives", "postgres"),
]
UrlPath = Annotated[
    str, Written(r"/[!-~]*", 'a path that begins with "/", without spaces or accents', "/healthz")
]
# what needs no quotes in nginx's config; without its last slash it would open what is beside the folder
FolderUrl = Annotated[
    str,
    Written(
        r"/(?:[A-Za-z0-9._-]+/)+",
        'a path of plain letters that begins and ends with "/"',
        "/static/",
        _folder_url,
    ),
]
HostHeader = Annotated[
    str,
    Written(
        r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?", "a host, with or without port", "shop.example"
    ),
]
SshHost = Annotated[str, Written(r"[A-Za-z0-9_][!-~]*", "a host that ssh knows", "deploy@web1")]
Domain = Annotated[str, Written(r"[A-Za-z0-9][A-Za-z0-9.-]*", "a domain name", "shop.example")]
# what needs no quotes in a unit or in nginx's config
FullPath = Annotated[
    Path,
    Written(
        r"/[A-Za-z0-9._/@+-]+", "a full path of plain letters", "/etc/ssl/shop/fullchain.pem", _full_path
    ),
]
UnixName = Annotated[
    str, Written(r"[a-z_][a-z0-9_-]{0,30}", "a user's name of at most 31 small letters", "shop")
]
ProcessName = Annotated[
    str, Written(r"[a-z][a-z0-9_-]{0,30}", "a process's name of at most 31 small letters", "worker")
]
EnvKey = Annotated[str, Written(KEY.pattern, "the name of an environment variable", "DATABASE_URL")]
EnvKind = Annotated[
    str,
    Written(
        rf"(?:{'|'.join(KINDS)})\??",
        f'{", ".join(map(json.dumps, KINDS))}, with "?" at its end where the key may be missing',
        "url?",
    ),
]
Size = Annotated[str, Written(r"[1-9][0-9]{0,8}[km]?", "a size, in bytes, k or m", "10m")]
