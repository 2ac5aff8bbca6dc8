"""Where a release's code comes from: a working tree, a git revision, another folder, or an archive."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from segue.core.errors import Refused, UsageError
from segue.core.ids import NO_REVISION

SHORT = 7


@dataclass(frozen=True)
class Source:
    """What a release is made of.

    Attributes:
        folder: the folder that holds the code, the repository that holds the revision, or the archive.
        commit: the full commit whose files it is made of; None where that is a tree or an archive.
        revision: what names it in the release's id: a short commit, or ``tree`` where there is no git.
        dirty: whether the files differ from the commit that `revision` names.
        git: whether git says which files belong to it; without it, they are taken as they lie in `folder`.
        archive: whether `folder` is an archive.
        url: the remote repository that `folder` mirrors.
        sent: whether `folder` came from another machine: what looks like data in it was judged there.
        log: its last commits, newest first, each its id and its subject; for people.
    """

    folder: Path
    commit: str | None = None
    revision: str = NO_REVISION
    dirty: bool = False
    git: bool = False
    archive: bool = False
    url: str | None = None
    sent: bool = False
    log: tuple[str, ...] = field(default=(), compare=False)

    def describe(self) -> str:
        """The source in a few words, for plans and receipts."""
        if self.commit is not None:
            return f"commit {self.revision} of {self.url or self.folder}"
        if self.archive:
            return f"the archive {self.folder}"
        if not self.git:
            return f"the files of {self.folder}"
        return f"the files of {self.folder} ({'changed since' if self.dirty else 'as in'} {self.revision})"


def resolve_source(folder: Path, revision: str | None) -> Source:
    """The source in `folder`: its files, the commit that `revision` names, or the archive that it is.

    Raises:
        UsageError: there is no such folder, no git, or no such revision.
        Refused: git would not work there.
    """
    if os.path.isfile(folder):
        return _archive(folder, revision)
    if not os.path.isdir(folder):
        hint = "--path takes a folder, a .tar.gz, a .zip, or the URL of a git repository"
        evidence = "there is nothing of that name"
        raise UsageError("path", f"{folder} is not a folder.", evidence=evidence, hint=hint)
    if revision is not None:
        url = _git(folder, "config", "--local", "--get", "segue.url").stdout.strip() or None
        commit = _commit(folder, revision, url)
        return Source(folder, commit=commit, revision=commit[:SHORT], git=True, url=url)
    if not _in_git(folder):
        return Source(folder)
    head = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--", ".")
    name = head.stdout.strip()[:SHORT] or NO_REVISION
    return Source(folder, revision=name, dirty=bool(changes.stdout.strip()), git=True)


def _archive(path: Path, revision: str | None) -> Source:
    if revision is not None:
        hint = "leave --rev away, or name the repository by --path"
        raise UsageError("revision", "An archive has no revisions.", evidence=f"archive: {path}", hint=hint)
    from segue.build.archive import demand_archive  # noqa: PLC0415 - slow to import, and few have one

    demand_archive(path)
    return Source(path, archive=True)


def _commit(folder: Path, revision: str, url: str | None) -> str:
    found = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode != 0:
        raise UsageError(
            "revision",
            f"There is no revision {revision!r} in {url or folder}.",
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
    # a look must not hold the lock that a commit of the user's may want just then
    argv = ("git", "--no-optional-locks", "-C", str(folder), *words)
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
