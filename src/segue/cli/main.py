"""The `segue` command: verbs are loaded when they are called, so that `segue status` feels instant."""

from __future__ import annotations

import importlib

import click

from segue import __version__
from segue.cli.verb import end_of_wrong_words

# verb -> the module of segue.cli that defines a command of that name
VERBS = {
    "init": "init",
    "up": "up",
    "deploy": "deploy",
    "rollback": "deploy",
    "restart": "deploy",
    "scale": "scale",
    "status": "look",
    "releases": "look",
    "history": "look",
    "receipt": "look",
    "logs": "logs",
    "run": "run",
    "setup": "setup",
    "recover": "deploy",
    "reload": "reload",
    "probe": "probe",
    "demo": "demo",
}


class VerbGroup(click.Group):
    """The group of all verbs; a verb's module is imported when the verb is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order in which they are documented."""
        del ctx
        return list(VERBS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that `args` begin with; one that is unknown is refused as every verb refuses."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise end_of_wrong_words(error, args) from None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command for `cmd_name`, or None."""
        del ctx
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"segue.cli.{VERBS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=VerbGroup, name="segue", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="segue")
def cli() -> None:
    """Zero-downtime deploys for Python web apps, proved by measurement."""


def main() -> None:
    """Run the command line."""
    cli(prog_name="segue")
