"""The files of a commit, its submodules' included, as git itself gives them out."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from segue.build.mirror import mirror_of, submodule_urls
from segue.build.tracked import submodules
from segue.core.errors import Failed


def take_commit(repository: Path, commit: str, release: Path, url: str | None) -> None:
    """Take the files of `commit` in `repository`, which mirrors `url` if that is given, into `release`.

    Raises:
        Failed: git does not give them out, or a submodule's commit is not there.
    """
    _export(repository, commit, release)
    urls = {} if url is None else submodule_urls(repository, url, commit)
    for path, wanted in submodules(repository, commit).items():
        other = urls.get(str(path))
        near = repository / path if other is None else mirror_of(other, repository.parent)
        if not _has(near, wanted):
            raise Failed(
                "submodule",
                f"The commit of the submodule {path} is not there.",
                evidence=f"{commit[:7]} names {wanted} for it, which {near} does not have",
                hint="`git submodule update --init --recursive`, or push it to where .gitmodules says",
            )
        take_commit(near, wanted, release / path, other)


def _has(repository: Path, commit: str) -> bool:
    if not ((repository / ".git").exists() or (repository / "HEAD").exists()):
        return False  # git would find the repository around it
    argv = ("git", "-C", str(repository), "cat-file", "-e", f"{commit}^{{commit}}")
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _export(repository: Path, commit: str, release: Path) -> None:
    argv = ("git", "-C", str(repository), "archive", "--format=tar", commit)
    name = f"{commit[:7]} of {repository}"
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as git:
        assert git.stdout is not None  # noqa: S101 - it was asked for one line above
        try:
            with tarfile.open(fileobj=git.stdout, mode="r|") as archive:
                # by attribute: Python before 3.11.4 knows neither the parameter nor the filter
                archive.extraction_filter = getattr(tarfile, "tar_filter", None)
                archive.extractall(release)  # noqa: S202 - the paths in it are git's own
            git.stdout.read()  # the padding after the archive's end: git must not meet a closed pipe
        except (tarfile.TarError, OSError) as error:
            message = f"{name} can't be exported."
            hint = "is there room on the disk?"
            raise Failed("snapshot", message, evidence=str(error), hint=hint) from error
    if git.returncode != 0:
        raise Failed("snapshot", f"git could not export {name}.")
