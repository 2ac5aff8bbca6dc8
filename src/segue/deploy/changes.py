"""What a deploy brings that the live release has not, for its receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segue.build.changes import commits_since
from segue.core.ids import NO_REVISION, release_of

if TYPE_CHECKING:
    from segue.build.source import Source
    from segue.deploy.run import Run


def code_changes(run: Run, source: Source, packages: dict[str, Any]) -> dict[str, Any]:
    """The source in words, the commits since the live release, and the `packages` that the build compared."""
    hide = run.site.secrets().hide
    commits = None if run.plan.previous is None else commits_since(source.log, _revision(run))
    told = {"code": hide(source.describe()), **packages}
    return told if commits is None else {**told, "commits": [hide(line) for line in commits]}


def _revision(run: Run) -> str | None:
    """What the live release was made of; None where that was no commit."""
    if run.plan.previous is None:
        return None
    found = run.site.releases.read(release_of(run.plan.previous)).get("revision")
    return None if found == NO_REVISION else found
