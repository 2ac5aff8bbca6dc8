"""The reference page of the command line, made from the commands themselves and from the errors' exit codes.

``python -m segue.cli.reference --write`` renews docs/cli.md from the project's root; without ``--write`` the
page goes to stdout.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import click

from segue.cli.main import VERBS, cli
from segue.core.errors import ERRORS_BY_EXIT_CODE

PAGE_FILE = Path("docs/cli.md")

_INTRODUCTION = """\
# The command line

<!-- Made by `python -m segue.cli.reference --write` from the commands in src/segue/cli. -->

`segue --help`, and `segue VERB --help`, say the same of options.

A command works on the project in whose folder it is called. TARGET is the name of a [server](server.md) in
`segue.toml`. Without it, it is `local`: the embedded keeper that `segue up` runs. `segue setup` takes the
only server without being told.

Flags beat [`segue.toml`](config.md), or `[tool.segue]` in `pyproject.toml`. Nothing in it is required;
[`segue init`](init.md) writes one that says what it found. Your own `gunicorn.conf.py` and its hooks are
used as they are, except for the settings that have to be segue's, such as `bind`; a deploy notes each that
it overrules.

`--json` gives one JSON document on stdout, and nothing else there. In a Flask project that has segue
installed, `flask segue …` has the same commands.
"""
_MORE = {
    "up": """\
**`--watch`** takes a release of the project after every save and deploys it like any other: a save that
does not import prints its traceback, and the app answers as before. Only what would be part of a release
counts, and `.env`, which is applied by a restart. So that a save is live soon, the watch is left out
(`watch = 0s`, `watch_requests = 0`), and old workers leave sooner (`linger = 100ms`, `drain_timeout = 5s`),
whatever the config says.

**`--upgrade`** is for after an upgrade of segue itself: the app serves on, on the same socket.
""",
    "deploy": """\
What becomes part of a release: with git, the files that are tracked, and those that are new and not
ignored; without git, all but `.segue/`, `.git` and virtual environments. `.env` and `instance/` are linked
from the project, never copied. segue keeps all it has in `.segue/` of the project.

What the app's environment has to have stands under `[env]` of [segue.toml](config.md#env), or in
`.env.example`. A release that would start without it is refused before anything is touched. Set it in
`.env`, if your app loads that; in the environment of `segue up`; or on a server in
[`/etc/APP.env`](server.md#the-environment).

Ctrl-C takes the deploy back; after the commit it only stops following. If your terminal dies, the deploy
goes on to its own verdict.
""",
    "scale": """\
It waits until exactly N workers serve. A worker that leaves finishes what it holds, as in a deploy. The
number lasts through deploys, rollbacks and restarts, until you scale to the number in the config again, or
start `segue up` afresh. If a new worker can't boot, there are as many as before, and the command fails with
exit code 1. On a server: set `workers`, and `segue restart`.
""",
    "status": "[What `--live` shows](receipts.md#what-runs-just-now).\n",
    "receipt": "[What stands in a receipt](receipts.md), and in its page.\n",
    "setup": "[What it makes, refuses and confines](setup.md); [a first server](first-server.md).\n",
    "reload": "[What it does, and what it refuses](reload.md).\n",
}
_EXIT_CODES = """\
## Exit codes

| code | means |
|---|---|
| 0 | Done. |
{rows}
What `segue probe` and `segue run` end with besides stands with them above.
"""


def reference_page() -> str:
    """docs/cli.md: every verb with its words, and every exit code."""
    with click.Context(cli, info_name="segue") as group:
        verbs = [(name, verb) for name in VERBS if (verb := cli.get_command(group, name))]
        sections = [_section(click.Context(verb, group, name)) for name, verb in verbs]
    contents = "".join(
        f"| [{name}](#segue-{name}) | {verb.get_short_help_str(limit=200)} |\n" for name, verb in verbs
    )
    codes = "".join(f"| {code} | {inspect.getdoc(error)} |\n" for code, error in ERRORS_BY_EXIT_CODE.items())
    return "\n".join(
        [_INTRODUCTION, f"| verb | |\n|---|---|\n{contents}", *sections, _EXIT_CODES.format(rows=codes)]
    )


def _section(context: click.Context) -> str:
    """One verb: its words, what it does, its options."""
    verb, name = context.command, context.info_name or ""
    usage = " ".join(verb.get_usage(context).split()).removeprefix("Usage: ")
    parts = [f"## segue {name}\n", f"```text\n{usage}\n```\n", f"{inspect.cleandoc(verb.help or '')}\n"]
    options = [param.get_help_record(context) for param in verb.params if isinstance(param, click.Option)]
    rows = "".join(f"| `{_cell(words)}` | {_cell(text)} |\n" for words, text in filter(None, options))
    if rows:
        parts.append(f"| option | |\n|---|---|\n{rows}")
    if name in _MORE:
        parts.append(_MORE[name])
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> None:
    """Write the page, or show it on stdout."""
    if arguments != ["--write"]:
        sys.stdout.write(reference_page())
        return
    PAGE_FILE.write_text(reference_page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
