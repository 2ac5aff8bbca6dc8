"""The import step: the release's own interpreter imports the app, apart from everything that serves."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.core.durations import format_duration
from segue.core.errors import Failed
from segue.deploy.commands import in_thread
from segue.disk.atomic import read_if_whole
from segue.disk.forms import MAYBE_TEXT, Form
from segue.disk.processes import marked
from segue.run.generation import EVIDENCE_LINES, gate_script, place_gate, tail
from segue.run.servers import choose_server
from segue.run.stacks import app_frames
from segue.run.start import generation_environment

if TYPE_CHECKING:
    from segue.deploy.run import Run

# in the environment of all that one import starts: by the generation's own mark, `segue scale`, which imports
# the live release, would end what serves
MARK = "SEGUE_IMPORT_FOLDER"
# the script prints the stack of a hanging import at its own timeout; this is for it to do so
GRACE = 3.0

_HINTS = {
    "module": 'name the app as MODULE:ATTRIBUTE, such as module = "wsgi:app"',
    "attribute": "the module was imported; after the colon comes the app in it, or a call that makes it",
    "not_callable": "the module was imported; what stands after the colon has to be the app itself",
    "missing": "is it spelt right, and among the dependencies? The release never saw a request",
    "import": "the app raised this while it was imported; the release never saw a request",
}
_SERVERS = ("gunicorn", "uvicorn", "uvicorn-worker", "granian")
# the app's own user writes it, so it may say anything
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
    release = run.site.home.release(run.plan.release)
    with run.site.tasks.folder() as folder:
        status = await _import(run, release, folder)
        found = read_if_whole(folder / "result.json", _RESULT)
        printed = app_frames(tail(folder / "log", EVIDENCE_LINES))
    if status is None:
        raise Failed(
            "import_timeout",
            f"{run.module} did not finish importing within {format_duration(run.config.ready_timeout)}.",
            evidence=printed,
            hint="the stack above shows where it hangs; if it only needs longer, raise ready_timeout",
        )
    if found is None:
        raise _ended(run.module, status, printed)
    _judge(found, release, run.site.home.project)
    installed = {name: found["servers"][name] for name in _SERVERS if found["servers"].get(name)}
    server, interface = choose_server(run.config, found["interface"], installed, found["python"])
    run.site.releases.update(run.plan.release, server=server, interface=interface)
    version = f" {installed[server]}" if server in installed else ""
    return f"{interface.upper()} app, for {server.capitalize()}{version}"


def _ended(module: str, status: int, printed: str) -> Failed:
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    return Failed(
        "import",
        f"{module} ended the interpreter that imported it, {how}.",
        evidence=printed or "it printed nothing",
        hint="look for os._exit(), a crash in an extension module, or too little memory",
    )


async def _import(run: Run, release: Path, folder: Path) -> int | None:
    await in_thread(place_gate, folder)
    timeout = run.config.ready_timeout
    python = run.site.releases.python(run.plan.release)
    env = generation_environment(
        run.site.environ,
        project=run.site.home.project,
        release=release,
        python=python,
        folder=run.candidate.folder,
    )
    tasks = run.site.tasks
    words = ("import", str(folder / "result.json"), str(timeout), str(tasks.parent), run.module)
    argv = (str(python), str(gate_script(folder)), *words)
    env = {**env, MARK: str(folder)}
    with (folder / "log").open("wb") as output:
        async with tasks.of_app(*argv, cwd=release, env=env, folder=folder, output=output) as process:
            try:
                async with asyncio.timeout(timeout + GRACE):
                    return await process.wait()
            except TimeoutError:
                return None
            finally:
                _end_all(folder)


def _end_all(folder: Path) -> None:
    """End what the import in `folder` started and left behind, in whatever session."""
    for process in marked(MARK, str(folder)):
        process.signal(signal.SIGKILL)


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
