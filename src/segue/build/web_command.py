"""The command that a Procfile or a Dockerfile serves the app by; it is read, and never run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from segue.build.code import Code

_SERVERS = ("gunicorn", "uvicorn", "granian", "hypercorn", "daphne")
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?::[A-Za-z_]\w*(?:\(.*\))?)?", re.ASCII)
# options of these servers that take no value, and may stand before the app
_FLAGS = re.compile(
    r"-R|-D|--(no-)?(access-log|capture-output|control-socket|date-header|enable-stdio-inheritance|factory"
    r"|preload|proxy-headers|reload|reuse-port|sendfile|server-header|statsd|use-colors|ws)"
)
# then the app is not looked for in the project's own folder
_ELSEWHERE = ("cd", "--chdir", "--app-dir", "--pythonpath", "--working-dir")
_WEB = re.compile(r"^web\s*:(.*)$", re.MULTILINE)
_CONTINUED = re.compile(r"\\\n")
_INSTRUCTION = re.compile(r"^\s*(FROM|ENTRYPOINT|CMD)\s+(.*)$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class WebCommand:
    """What such a command says; None or empty where it does not.

    Attributes:
        where: the file that it is in.
        server: its program.
        module: the app.
        workers: how many processes.
        threads: how many in each.
        worker_class: Gunicorn's kind of worker.
        config: Gunicorn's config file, if it is one of the project's.
    """

    where: str
    server: str
    module: str
    workers: int | None
    threads: int | None
    worker_class: str
    config: str


def web_commands(code: Code) -> list[WebCommand]:
    """The commands of `code` that run a known server in the project's own folder."""
    found = [("Procfile", words) for words in _of_procfile(code.text("Procfile"))]
    found += [("Dockerfile", words) for words in _of_dockerfile(code.text("Dockerfile"))]
    commands = (_read(code, where, words) for where, words in found)
    return [command for command in commands if command is not None]


def _of_procfile(text: str) -> Iterator[list[str]]:
    for line in _WEB.findall(text)[:1]:
        yield _split(line)


def _of_dockerfile(text: str) -> Iterator[list[str]]:
    """The words of the last stage's ENTRYPOINT with those of its CMD."""
    parts: dict[str, list[str]] = {}
    for name, rest in _INSTRUCTION.findall(_CONTINUED.sub(" ", text)):
        if name.upper() == "FROM":
            parts = {}
        else:
            parts[name.upper()] = _words(rest)
    yield parts.get("ENTRYPOINT", []) + parts.get("CMD", [])


def _words(text: str) -> list[str]:
    """A Dockerfile's command: a JSON list, or a shell's text."""
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        return _split(text)
    return [word for word in listed if isinstance(word, str)] if isinstance(listed, list) else []


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _read(code: Code, where: str, words: list[str]) -> WebCommand | None:
    programs = [PurePosixPath(word).name for word in words]
    server = next((name for name in _SERVERS if name in programs), None)
    if server is None or any(word.partition("=")[0] in _ELSEWHERE for word in words):
        return None
    options = words[programs.index(server) + 1 :]
    config = _value(options, "-c", "--config").removeprefix("file:")
    return WebCommand(
        where=where,
        server=server,
        module=_module(options, server),
        workers=_number(_value(options, "-w", "--workers")),
        threads=_number(_value(options, "--threads")),
        worker_class=_value(options, "-k", "--worker-class"),
        config=config if code.has(config) and config.isprintable() else "",
    )


def _module(options: list[str], server: str) -> str:
    """The first word that could be an app, and is no option's value."""
    before = ["", *options]
    for option, word in zip(before, options, strict=False):
        taken = option.startswith("-") and "=" not in option and not _FLAGS.fullmatch(option)
        if _MODULE.fullmatch(word) and not taken:
            module = word if ":" in word or server != "gunicorn" else f"{word}:application"
            return f"{module}()" if "--factory" in options and not module.endswith(")") else module
    return ""


def _value(options: list[str], *names: str) -> str:
    for word, following in zip(options, [*options[1:], ""], strict=True):
        if word in names:
            return following
        name, equals, value = word.partition("=")
        if equals and name in names:
            return value
    return ""


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,2}", text) else None
