"""Where a release's code comes from: the working tree, a git revision, or another folder."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from segue.core.errors import Refused, UsageError
from segue.core.ids import NO_REVISION

SHORT = 7


@dataclass(frozen=True)
class Source:
    """What a release is made of.

    Attributes:
        folder: the folder that holds the code, or the git checkout that holds the revision.
        commit: the full commit whose files are taken; None takes the files as they lie in `folder`.
        revision: what names it in the release's id: a short commit, or ``tree`` where there is no git.
        dirty: whether the files differ from the commit that `revision` names.
        git: whether git says which files belong to it.
    """

    folder: Path
    commit: str | None = None
    revision: str = NO_REVISION
    dirty: bool = False
    git: bool = False

    def describe(self) -> str:
        """The source in a few words, for plans and receipts."""
        if self.commit is not None:
            return f"commit {self.revision} of {self.folder}"
        if not self.git:
            return f"the files of {self.folder}"
        return f"the files of {self.folder} ({'changed since' if self.dirty else 'as in'} {self.revision})"


def resolve_source(folder: Path, revision: str | None) -> Source:
    """The source in `folder`: its files, or the commit that `revision` names.

    Raises:
        UsageError: there is no such folder, no git, or no such revision.
        Refused: git would not work there.
    """
    if not os.path.isdir(folder):
        found = "there is a file of that name" if os.path.exists(folder) else "there is nothing of that name"
        hint = "--path takes the folder to deploy"
        raise UsageError("path", f"{folder} is not a folder.", evidence=found, hint=hint)
    if revision is not None:
        commit = _commit(folder, revision)
        return Source(folder, commit=commit, revision=commit[:SHORT], git=True)
    if not _in_git(folder):
        return Source(folder)
    head = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--", ".")
    name = head.stdout.strip()[:SHORT] or NO_REVISION
    return Source(folder, revision=name, dirty=bool(changes.stdout.strip()), git=True)


def _commit(folder: Path, revision: str) -> str:
    found = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode != 0:
        raise UsageError(
            "revision",
            f"There is no revision {revision!r} in {folder}.",
            evidence=found.stderr.strip() or "git knows no commit, tag or branch of that name",
            hint="`git log --oneline` shows what there is; fetch first if it is elsewhere",
        )
    return found.stdout.strip()


def _in_git(folder: Path) -> bool:
    try:
        found = _git(folder, "ls-files", "--cached", "--others", "--exclude-standard", "--", ".")
    except UsageError:
        return False
    if "dubious ownership" in found.stderr:
        raise Refused(
            "git",
            f"git does not trust {folder}, because another user owns it.",
            evidence=found.stderr.strip(),
            hint="run segue as the owner of the project",
        )
    # a project inside a folder that its repository ignores has no files as far as git knows
    return found.returncode == 0 and bool(found.stdout.strip())


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = ("git", "-C", str(folder), *words)
    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, errors="replace"
        )
    except FileNotFoundError as error:
        raise UsageError(
            "git",
            "git is not installed.",
            hint="install git, or deploy the files as they are (without --rev)",
        ) from error
