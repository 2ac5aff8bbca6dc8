"""What every verb shares: how an error is shown, and which exit code it ends with."""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from typing import Any

import click

from segue.core.errors import Bug, Interrupted, Refused, SegueError


class Verb(click.Command):
    """A command whose errors are one sentence, evidence and a hint, and whose exit code is documented."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; any error ends the process with its own exit code."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # names of odd files, and what apps print, may not fit the terminal's encoding
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except SegueError as error:
            show_error(error, as_json=bool(ctx.params.get("as_json")))
            ctx.exit(error.exit_code)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except PermissionError as error:
            show_error(_not_ours(error), as_json=bool(ctx.params.get("as_json")))
            ctx.exit(Refused.exit_code)
        except KeyboardInterrupt:
            show_error(Interrupted("interrupted", "Interrupted."), as_json=bool(ctx.params.get("as_json")))
            ctx.exit(Interrupted.exit_code)
        except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, it is our bug
            show_error(_bug(error), as_json=bool(ctx.params.get("as_json")))
            ctx.exit(Bug.exit_code)


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


def show_error(error: SegueError, *, as_json: bool = False) -> None:
    """Print `error` for people on stderr, and with `as_json` as one JSON document on stdout as well."""
    if as_json:
        print_json({"ok": False, "error": error.as_dict()})
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
