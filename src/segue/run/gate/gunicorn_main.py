"""Gunicorn behind the gate: its own command line, with `gunicorn_conf` as its config."""

from __future__ import annotations

import sys

from gunicorn.app.wsgiapp import run


def serve(arguments: list[str]) -> None:
    """Run Gunicorn until it is told to stop; `arguments` are what its own command line takes."""
    sys.argv = ["gunicorn", "--config", f"python:{__package__}.gunicorn_conf", *arguments]
    run(prog="gunicorn")
