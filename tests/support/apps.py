"""Small apps with known behaviour, for tests that deploy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

APPS = Path(__file__).parent.parent / "apps"
SOURCES = {"wsgi": APPS / "app.py", "asgi": APPS / "asgi.py"}

CONFIG = """\
[app]
name = "sample"
module = "wsgi:app"
check = "/healthz"
"""

Interface = Literal["wsgi", "asgi"]
Check = Literal["ok", "404", "redirect", "500", "hang", "wrong_release"]
ImportFailure = Literal["ImportError", "ModuleNotFoundError", "SyntaxError"]

# Each is the last line of a faulty wsgi.py, so that tracebacks look as they do in real projects.
FAULTS: dict[str, str] = {
    "ImportError": "from json import lods",
    "ModuleNotFoundError": "import paymnets",
    "SyntaxError": "def app(:",
    "hang": "time.sleep(FOREVER)",
    "not_callable": 'app = "not an app"',
    "missing_attribute": "del app",
}


def make_app(
    folder: Path,
    *,
    version: str,
    interface: Interface | None = None,
    import_seconds: float = 0.0,
    import_error: ImportFailure | None = None,
    import_hang: bool = False,
    not_callable: bool = False,
    missing_attribute: bool = False,
    check: Check = "ok",
    crash_on_first_request: bool = False,
    error_share: float = 0.0,
    stdout_noise: int = 0,
    startup_fails: bool = False,
) -> None:
    """Write a project into `folder`; called again, it edits the project and touches neither config nor data.

    Args:
        folder: The project's, made when missing.
        version: What `/` answers.
        interface: What kind of app it is; its module is `wsgi` all the same. Without it: what it was.
        import_seconds: How long the import takes, half on the CPU and half waiting.
        import_error: What the import ends with.
        import_hang: The import never ends.
        not_callable: `wsgi:app` is a text.
        missing_attribute: `wsgi` has no `app`.
        check: What `/healthz` answers; with `wrong_release`, 200 and `X-Segue-Release: other`.
        crash_on_first_request: A worker dies of its first request for anything but `/healthz`.
        error_share: The share of requests for `/` that a worker answers with 500, evenly spread.
        stdout_noise: How many characters each request prints.
        startup_fails: The lifespan of an ASGI app says so.
    """
    faults = [
        import_error,
        import_hang and "hang",
        not_callable and "not_callable",
        missing_attribute and "missing_attribute",
    ]
    behaviour = {
        "version": version,
        "import_seconds": import_seconds,
        "check": check,
        "crash_on_first_request": crash_on_first_request,
        "error_share": error_share,
        "stdout_noise": stdout_noise,
        "startup_fails": startup_fails,
        "interface": interface or _kind_of(folder),
    }
    write(folder, [FAULTS[fault] for fault in faults if fault], behaviour)


def _kind_of(folder: Path) -> Interface:
    behaviour = folder / "behaviour.json"
    kind: Interface = json.loads(behaviour.read_text())["interface"] if behaviour.exists() else "wsgi"
    return kind


def write(folder: Path, faults: list[str], behaviour: dict[str, Any]) -> None:
    (folder / "instance").mkdir(parents=True, exist_ok=True)
    (folder / "behaviour.json").write_text(json.dumps(behaviour, indent=2))
    (folder / "wsgi.py").write_text("\n".join([SOURCES[behaviour["interface"]].read_text(), *faults, ""]))
    config = folder / "segue.toml"
    if not config.exists():
        config.write_text(CONFIG)


def stored_orders(folder: Path) -> list[int]:
    """The ids that the project's releases stored, in order; one that was stored twice is here twice."""
    log = folder / "instance" / "orders.log"
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []
