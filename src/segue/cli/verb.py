"""What every verb shares: how an error is shown, and which exit code it ends with."""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from collections.abc import Mapping
from itertools import takewhile
from types import MappingProxyType
from typing import Any, ClassVar

import click

from segue.core.errors import Bug, Interrupted, Refused, SegueError, UsageError


class Verb(click.Command):
    """A command whose errors are one sentence, evidence and a hint, and whose exit code is documented.

    Attributes:
        unknown: the keys that its JSON document has beside ``ok`` and ``error``, as they are where it has
            come to nothing.
    """

    unknown: ClassVar[Mapping[str, Any]] = {}

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> click.Context:
        """Read the words; wrong ones end the process as any other error does."""
        words = list(args)
        try:
            return super().make_context(info_name, args, *more, **extra)
        except click.UsageError as error:
            raise end_of_wrong_words(error, words, self.unknown) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; any error ends the process with its own exit code."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # names of odd files, and what apps print, may not fit the terminal's encoding
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except SegueError as error:
            ours = error
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except PermissionError as error:
            ours = _not_ours(error)
        except KeyboardInterrupt:
            ours = Interrupted("interrupted", "Interrupted.")
        except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, it is our bug
            ours = _bug(error)
        raise _end(ours, self.unknown, as_json=bool(ctx.params.get("as_json")))


class DeployVerb(Verb):
    """A verb whose JSON document is a deploy's receipt; where no deploy began, nothing is known of it."""

    unknown: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys(("app", "target", "release", "generation", "previous", "strategy")),
        "steps": [],
        "traffic": None,
    }


def end_of_wrong_words(
    error: click.UsageError, words: list[str], unknown: Mapping[str, Any] = MappingProxyType({})
) -> click.exceptions.Exit:
    """The end of a command line of those `words`, which Click can't read."""
    path, usage = "segue", ""
    if error.ctx is not None:
        path, usage = error.ctx.command_path, " ".join(error.ctx.get_usage().split())
    message = error.format_message()
    message += "" if message.endswith((".", "?")) else "."
    ours = UsageError("usage", message, evidence=usage, hint=f"`{path} --help` tells more")
    return _end(ours, unknown, as_json="--json" in takewhile("--".__ne__, words))


def _end(error: SegueError, unknown: Mapping[str, Any], *, as_json: bool) -> click.exceptions.Exit:
    if as_json:
        print_json({"ok": False, **unknown, "error": error.as_dict()})
    show_error(error)
    return click.exceptions.Exit(error.exit_code)


def _not_ours(error: PermissionError) -> Refused:
    return Refused(
        "permission",
        f"{error.filename or 'A file'} is not ours to read or write.",
        evidence=f"{error.strerror}; we are uid {os.getuid()}",
        hint="was segue run as another user before? Run it as the project's owner",
    )


def _bug(error: Exception) -> Bug:
    return Bug(
        "bug",
        f"segue itself failed: {type(error).__name__}: {error}.",
        evidence=traceback.format_exc(),
        hint="this is a bug in segue, not in your app; what was serving still serves. Please report it",
    )


def show_error(error: SegueError) -> None:
    """Print `error` for people on stderr."""
    click.echo(f"error: {error.message}", err=True)
    if error.evidence:
        click.echo("", err=True)
        for line in error.evidence.splitlines():
            click.echo(f"  {line}", err=True)
    if error.hint:
        click.echo(f"\nhint: {error.hint}", err=True)


def print_json(document: dict[str, Any] | list[Any]) -> None:
    """Print `document` on stdout: the one thing there with ``--json``."""
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")
    sys.stdout.flush()
