"""``segue deploy``, ``rollback``, ``restart`` and ``recover``: what an executor is asked to do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from segue.cli.asking import begin, deploy_by_executor
from segue.cli.verb import DeployVerb, Verb, print_json

Command = Callable[..., None]


def _common(command: Command) -> Command:
    for decorate in (
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
        click.option("--dry-run", is_flag=True, help="Show the plan; touch nothing."),
        click.option("--wait", is_flag=True, help="Queue behind a deploy that is under way."),
        click.argument("target", required=False),
    ):
        command = decorate(command)
    return command


def _ask(verb: str, target: str | None, *, as_json: bool, dry_run: bool, **args: Any) -> None:
    if dry_run:
        _show_plan(target, verb, {**args, "dry_run": True}, as_json=as_json)
    else:
        deploy_by_executor(target, verb, args, as_json=as_json)


@click.command(cls=DeployVerb)
@_common
@click.option("--rev", metavar="REV", help="A git revision, instead of the files as they are.")
@click.option(
    "--path",
    metavar="PATH",
    help="Another folder than the project's, a .tar.gz, a .zip, or a repository's URL.",
)
@click.option(
    "--strategy", metavar="S", help="How requests change sides: handoff, or blue-green on a server."
)
@click.option(
    "--allow-contract",
    is_flag=True,
    help="Run what the code that serves can't live with, once it has stopped; no rollback goes back past it.",
)
def deploy(target: str | None, *, path: str | None, rev: str | None, **options: Any) -> None:
    """Build a release, check it, switch to it, watch it; anything wrong is taken back."""
    if path is not None:
        path, rev = _near(path, rev)
    _ask("deploy", target, path=path, rev=rev, **options)


def _near(path: str, rev: str | None) -> tuple[str, str | None]:
    """`path` and `rev` as they are found on this machine: what is remote is fetched first."""
    from segue.build.mirror import fetch, is_url  # noqa: PLC0415

    if not is_url(path):
        return str(Path(path).resolve()), rev
    mirror, name = fetch(path, rev)
    return str(mirror), name


@click.command(cls=DeployVerb)
@_common
@click.option("--to", metavar="RELEASE", help="The release to go back to, instead of the last good one.")
def rollback(target: str | None, **options: Any) -> None:
    """Go back to the last good release, or the one named."""
    _ask("rollback", target, **options)


@click.command(cls=DeployVerb)
@_common
def restart(target: str | None, **options: Any) -> None:
    """Start the live release anew, as a deploy: for a changed environment or config."""
    _ask("restart", target, **options)


@click.command(cls=Verb)
@click.argument("target", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--wait", is_flag=True, help="Queue behind a deploy that is under way.")
def recover(target: str | None, *, as_json: bool, wait: bool) -> None:
    """Make the machine match the record, now, and say what was done."""
    document, code = _plain_answer(target, "recover", {"wait": wait})
    if as_json:
        print_json(document)
    else:
        click.echo("\n".join(document.get("actions", ())) or "nothing to do: everything matches the record")
    click.get_current_context().exit(code)


def _show_plan(target: str | None, verb: str, args: dict[str, Any], *, as_json: bool) -> None:
    plan, _ = _plain_answer(target, verb, args)
    if as_json:
        print_json(plan)
        return
    click.echo(f"{plan['verb']} {plan['generation']} ({plan['strategy']})")
    click.echo(f"serving meanwhile: {plan['previous'] or 'nothing'}\n")
    for step in plan["steps"]:
        click.echo(f"  {step['name']:<8} {step['does']}")


def _plain_answer(target: str | None, verb: str, args: dict[str, Any]) -> tuple[dict[str, Any], int]:
    from segue.core.errors import error_from_dict  # noqa: PLC0415

    with contextlib.closing(begin(target, verb, args)) as conversation:
        document, code = conversation.answer(lambda _event: None)
    if document.get("error"):
        raise error_from_dict(document["error"], code)
    return document, code
