"""What git says belongs to a project, its submodules included."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from segue.core.errors import Failed

_LINK = b"160000"  # the mode of an entry that is another repository's commit


def git_files(folder: Path) -> Iterator[PurePosixPath]:
    """The files in `folder` that are tracked, or new and not ignored; git may list some that are gone.

    Raises:
        Failed: a submodule is not checked out.
    """
    modules = _checked_out(folder)
    for path in map(_path, _listed(folder)):
        if path not in modules:
            yield path
    for module in modules:
        yield from (module / path for path in git_files(folder / module))


def untracked_repositories(folder: Path) -> list[str]:
    """The repositories in `folder` that it neither tracks nor ignores: git looks at nothing in them."""
    return [os.fsdecode(name[:-1]) for name in _listed(folder) if name.endswith(b"/")]


def untracked(folder: Path, paths: list[PurePosixPath]) -> list[PurePosixPath]:
    """Those of `paths` in `folder` that git does not track."""
    tracked = set(map(_path, _lines(folder, "ls-files", "--cached", "-z", "--", ".")))
    modules = _modules(_lines(folder, "ls-files", "--stage", "-z", "--", "."))
    return [path for path in paths if path not in tracked and not modules.keys() & set(path.parents)]


def submodules(repository: Path, commit: str) -> dict[PurePosixPath, str]:
    """The commit of each submodule that `commit` names, by its path."""
    return _modules(_lines(repository, "ls-tree", "-r", "-z", commit))


def _checked_out(folder: Path) -> list[PurePosixPath]:
    modules = list(_modules(_lines(folder, "ls-files", "--stage", "-z", "--", ".")))
    missing = [str(path) for path in modules if not (folder / path / ".git").exists()]
    if missing:
        raise Failed(
            "submodule",
            f"The submodule {missing[0]} is not checked out.",
            evidence=f"there is no repository in {', '.join(missing)}",
            hint="`git submodule update --init --recursive`",
        )
    return modules


def _modules(lines: list[bytes]) -> dict[PurePosixPath, str]:
    """The submodules in what ls-files and ls-tree write: MODE … COMMIT …, a tab, and the name."""
    found = {}
    for head, _, name in (line.partition(b"\t") for line in lines if line.startswith(_LINK)):
        commit = next(word for word in head.split() if len(word) >= len("0" * 40))
        found[_path(name)] = commit.decode()
    return found


def _listed(folder: Path) -> list[bytes]:
    words = ("ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", ".")
    return list(dict.fromkeys(_lines(folder, *words)))


def _lines(folder: Path, *words: str) -> list[bytes]:
    output = subprocess.run(("git", "-C", str(folder), *words), capture_output=True, check=True).stdout
    return [line for line in output.split(b"\0") if line]


def _path(name: bytes) -> PurePosixPath:
    return PurePosixPath(os.fsdecode(name))
