"""The static step: makes a release's static files, and exchanges them with those of all releases on disk."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from segue.core.errors import Failed, Refused
from segue.core.ids import release_of
from segue.deploy.builder import have_built
from segue.deploy.of_release import run_in_release
from segue.deploy.task import run_part
from segue.disk.atomic import read_plain
from segue.disk.forms import MAYBE_TEXT, Form
from segue.run.generation import MARK
from segue.run.start import generation_environment

if TYPE_CHECKING:
    from pathlib import Path

    from segue.config.schema import AppConfig, Static
    from segue.deploy.run import Run

PROGRAM = "segue.build.static"
_SETTINGS = re.compile(rb"""["']DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")
_COLLECTED: Form = {"kind": str, "message": MAYBE_TEXT, "evidence": MAYBE_TEXT}
_HINTS = {
    "unset": 'STATIC_ROOT = BASE_DIR / "staticfiles" in its settings, folder = "staticfiles" under [static]',
    "elsewhere": "they have to be the same folder, in the release: change one of them",
    "raised": "mend it, or set `collect` under [static]; what was serving still serves",
}


async def make_static(run: Run) -> str:
    """Make them, and have each release on disk answer for all; what the step has to say.

    Raises:
        Failed: a command did not end well, or there is no such folder.
    """
    static = _wanted(run.config)
    release = run.site.home.release(run.plan.release)
    collects = _collects(static, release)
    spec = {"release": str(release), "folder": str(static.folder)}
    commands = [list(command) for command in static.build]
    if commands or collects:
        made = {"commands": commands, "environ": _environ(run), "timeout": static.timeout, "open": collects}
        await have_built(run, PROGRAM, {"do": "make", **spec, **made})
    if collects:
        await _collect(run, static, release / static.folder)
    live = run.record.live
    before = None if live is None else str(run.site.home.release(release_of(live)))
    words = {"do": "publish", **spec, "opened": collects, "before": before}
    found = await have_built(run, PROGRAM, words)
    run.site.releases.update(
        run.plan.release, static=str(static.folder), static_url=static.url, static_sample=found["sample"]
    )
    for name in found["lying"]:
        run.note(
            f"{name} has other content than before, and a name that looks fingerprinted: on a server, "
            "browsers that have it keep it for a year"
        )
    kept = f"; {found['kept']} of other releases kept" if found["kept"] else ""
    return f"{found['files']} files, {found['fingerprinted']} fingerprinted{kept}"


async def forget_static(run: Run) -> int:
    """Take away the files of releases that are gone; how many, in all folders. What fails is a note."""
    if run.config.static is None:
        return 0
    try:
        done = await have_built(
            run, PROGRAM, {"do": "exchange", "releases": str(run.site.home.code / "releases")}
        )
    except Failed as error:
        run.note(f"static files of releases that are gone stay: {error.message}")
        return 0
    return int(done["removed"])


def demand_served(config: AppConfig, served: str | None) -> None:
    """See that nginx, which serves static files at the path `served`, does so where `config` says.

    Raises:
        Refused: it was not set up for that.
    """
    wanted = None if config.static is None else config.static.url
    if wanted not in (None, served):
        raise Refused(
            "static",
            f"nginx was not set up to serve static files at {wanted}.",
            evidence=f"[static] of segue.toml has url = {wanted!r}; nginx serves {served or 'none'}",
            hint="`sudo segue setup` on the server shows the change, and makes it; nothing was touched",
        )


def _wanted(config: AppConfig) -> Static:
    if config.static is None:
        raise RuntimeError("a plan with this step has a table for it")
    return config.static


def _collects(static: Static, release: Path) -> bool:
    return bool(static.collect) or (static.collect is None and _settings_of(release) is not None)


def _settings_of(release: Path) -> str | None:
    """The settings that a Django project's manage.py names."""
    try:
        # on a server root reads what the build may have written
        found = _SETTINGS.search(read_plain(release / "manage.py"))
    except (OSError, ValueError):
        return None
    return None if found is None else found[1].decode()


def _environ(run: Run) -> dict[str, Any]:
    """What the environment of the build's commands has, and has not, beside that of who builds."""
    base, home, release = run.site.environ, run.site.home, run.plan.release
    env = generation_environment(
        base,
        project=home.project,
        release=home.release(release),
        python=run.site.releases.python(release),
        folder=home.generation(run.plan.generation),
    )
    told = {name: value for name, value in env.items() if name != MARK and base.get(name) != value}
    return {"told": told, "unset": [name for name in base if name not in env]}


async def _collect(run: Run, static: Static, folder: Path) -> None:
    """Have the app's own tool make them.

    Raises:
        Failed: it did not.
    """
    generation, limit = run.plan.generation, static.timeout
    if static.collect:
        ended = await run_in_release(
            run, static.collect, generation=generation, told={}, limit=limit, writes=folder
        )
        if not ended.well:
            message = f"The static files could not be collected: `{static.collect[0]}` {ended.status}."
            hint = f"it runs as the app's user, who can write to {static.folder} alone on a server"
            raise Failed("static", message, evidence=ended.evidence(), hint=hint)
        return
    settings = str(_settings_of(run.site.home.release(run.plan.release)))
    words = (str(static.folder), settings)
    done = await run_part(run, "static", *words, limit=limit, form=_COLLECTED, writes=folder)
    if done.found is None:
        message = f"Collecting Django's static files ended {done.how}."
        raise Failed("static", message, evidence=done.printed or "it printed nothing", hint=_HINTS["raised"])
    if done.found["kind"] in _HINTS:
        evidence = f"{done.found['evidence']}\n{done.printed}".rstrip()
        hint = _HINTS[done.found["kind"]]
        raise Failed("static", str(done.found["message"]), evidence=evidence, hint=hint)
