"""docs/torture.md: the table, written by the run that it tells of."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tests.support.torture import SEED

from segue import __version__

COLUMNS = ("server", "what happens", "when", "requests sent", "lost", "state at rest", "seconds")
PACKAGES = ("gunicorn", "uvicorn", "uvicorn-worker", "gevent")
INTRODUCTION = """\
# Torture

All of this was done on purpose to a real `segue up` and its app server. Meanwhile 50 requests a second
ran, half of them on connections that are kept alive, and the old release held one that takes seconds. A
row is one try. *When* is the phase of the deploy, or the second after it began. *Lost* is every request
without a full answer. Where it is not 0, the row names the limit of [the promise](promises.md) that
applies. Each row demands as well that all comes to rest in one consistent state without another command,
that nobody is left over, that the record, the app and the history say the same, and that the next deploy
goes well. Watch, linger and drain are shortened by config.
"""


class Page:
    """Gathers the rows of a run, and writes them down at its end."""

    def __init__(self, path: Path, chosen: str) -> None:
        self._path = path
        self._chosen = chosen
        self._rows: dict[str, tuple[str, ...]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A row has ended, or went wrong after."""
        told: dict[str, Any] | None = getattr(report, "told", None)
        if told is not None and (report.when == "call" or report.failed):
            self._rows[report.nodeid] = _cells(told, report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page, of what was done when the run was interrupted."""
        rows = list(self._rows.values())
        lines = (COLUMNS, ("---",) * len(COLUMNS), *rows)
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        self._path.write_text(
            f"{INTRODUCTION}\n{_head(rows, session.testscollected, self._chosen)}\n\n{table}\n"
        )


def _cells(told: dict[str, Any], report: pytest.TestReport) -> tuple[str, ...]:
    lost = f"{told['lost']} ({told['limit']})" if told["limit"] else str(told["lost"])
    rest = told["rest"] if report.passed else f"**failed** {told['rest']}"
    if report.skipped:
        rest = f"skipped: {report.longrepr[2]}" if isinstance(report.longrepr, tuple) else "skipped"
    seconds = f"{report.duration:.1f}"
    return told["server"], told["what"], told["when"], str(told["sent"]), lost, rest, seconds


def _head(rows: list[tuple[str, ...]], meant: int, chosen: str) -> str:
    command = f"`SEED={SEED} make torture`"
    if chosen != "torture":
        command = f"`SEED={SEED} pytest -m '{chosen}'`, which is a sample of what `make torture` runs"
    failed = sum(cells[5].startswith("**failed**") for cells in rows)
    requests = sum(int(cells[3]) for cells in rows)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    return "\n".join(
        [
            f"- command: {command}, on {datetime.now(UTC):%Y-%m-%d}",
            f"- rows: {len(rows)} of {meant}, failed: {failed}; requests: {requests}",
            f"- segue {__version__}, Python {platform.python_version()}, {versions}",
            f"- machine: {cores} cores, {platform.machine()}, Linux {platform.release()}",
        ]
    )
