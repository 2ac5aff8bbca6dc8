"""The import step: the release's own interpreter imports the app, apart from everything that serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.core.durations import format_duration
from segue.core.errors import Failed
from segue.deploy.task import Ended, run_part
from segue.disk.forms import MAYBE_TEXT, Form
from segue.run.servers import choose_server

if TYPE_CHECKING:
    from segue.deploy.run import Run

_HINTS = {
    "module": 'name the app as MODULE:ATTRIBUTE, such as module = "wsgi:app"',
    "attribute": "the module was imported; after the colon comes the app in it, or a call that makes it",
    "not_callable": "the module was imported; what stands after the colon has to be the app itself",
    "missing": "is it spelt right, and among the dependencies? The release never saw a request",
    "import": "the app raised this while it was imported; the release never saw a request",
}
_SERVERS = ("gunicorn", "uvicorn", "uvicorn-worker", "granian")
_RESULT: Form = (
    {"kind": str, "message": str, "evidence": str},
    {
        **dict.fromkeys(("kind", "interface", "python"), str),
        "file": MAYBE_TEXT,
        "servers": dict.fromkeys(_SERVERS, MAYBE_TEXT),
    },
)


async def check_import(run: Run) -> str:
    """Import the app of the release; what the step has to say.

    Raises:
        Failed: it can't be imported, never ends, or is not what is being released.
    """
    ended = await run_part(run, "import", limit=run.config.ready_timeout, form=_RESULT)
    found = ended.found
    if ended.status is None:
        raise Failed(
            "import_timeout",
            f"{run.module} did not finish importing within {format_duration(run.config.ready_timeout)}.",
            evidence=ended.printed,
            hint="the stack above shows where it hangs; if it only needs longer, raise ready_timeout",
        )
    if found is None:
        raise _ended(run.module, ended)
    _judge(found, run.site.home.release(run.plan.release), run.site.home.project)
    installed = {name: found["servers"][name] for name in _SERVERS if found["servers"].get(name)}
    server, interface = choose_server(run.config, found["interface"], installed, found["python"])
    run.site.releases.update(run.plan.release, server=server, interface=interface)
    version = f" {installed[server]}" if server in installed else ""
    return f"{interface.upper()} app, for {server.capitalize()}{version}"


def _ended(module: str, ended: Ended) -> Failed:
    return Failed(
        "import",
        f"{module} ended the interpreter that imported it, {ended.how}.",
        evidence=ended.printed or "it printed nothing",
        hint="look for os._exit(), a crash in an extension module, or too little memory",
    )


def _judge(found: dict[str, Any], release: Path, project: Path) -> None:
    if "message" in found:
        kind, hint = found["kind"], _HINTS.get(found["kind"], "the release never saw a request")
        raise Failed(kind, found["message"], evidence=found["evidence"], hint=hint)
    file = found["file"] and Path(found["file"])
    if file and file.is_relative_to(project) and not file.is_relative_to(release.resolve()):
        raise Failed(
            "live_tree",
            "The app was imported from the live tree, not from the release.",
            evidence=f"imported: {file}\nrelease:  {release}",
            hint="the interpreter has the project itself installed (pip install -e?): uninstall it there",
        )
