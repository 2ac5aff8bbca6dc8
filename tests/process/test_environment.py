"""What the keeper's environment can and can't change of a release's start."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.apps import make_app
from tests.support.site import configure, serving


def test_gunicorn_cmd_args_are_heard_but_never_in_what_is_segues(tmp_path: Path) -> None:
    """Its worker count counts; what would take processes out of our hands is overruled and said so."""
    folder = tmp_path / "project"
    make_app(folder, version="v1")
    configure(folder)
    words = "--workers 3 --daemon --pid gunicorn.pid --bind 127.0.0.1:1 --reload"
    with serving(folder, env={**os.environ, "GUNICORN_CMD_ARGS": words}) as site:
        assert len(site.live().ready_workers()) == 3
        overruled = (site.live().booted() or {})["overruled"]
        assert {"daemon", "pidfile", "bind", "reload"} <= set(overruled)
        assert "gunicorn.pid" in site.keeper_log()
        assert not list(folder.rglob("gunicorn.pid"))
