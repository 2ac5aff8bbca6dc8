"""Snapshot: copies a source's files into a release, so that a live tree is never what runs."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath

from segue.build.data import databases, refuse_data, uploads
from segue.build.source import Source
from segue.build.tracked import git_files, untracked_repositories
from segue.core.errors import Failed

Say = Callable[[str], None]
WRITE_HINT = "may who builds read it, and is there room on the disk?"
LINKED = (".env", "instance")
_NEVER = frozenset({".segue", ".git", "__pycache__"})
_WRITES_TO_INSTANCE = (b"instance_path", b"instance_relative_config", b"sqlite:///")


def snapshot(source: Source, project: Path, release: Path, shared: Collection[str | Path], say: Say) -> int:
    """Copy the files of `source` into `release` and link what is shared; the number of files.

    Raises:
        Failed: a link leads out of the tree, a file can't be read, or data would be copied.
    """
    if source.archive or (source.git and source.commit is not None):
        _take_packed(source, release, shared)
    else:
        _take_tree(source, release, shared, say)
    number = sum(len(files) for _, _, files in os.walk(release))
    if not number:
        raise Failed("empty", f"There are no files in {source.describe()}.", hint="is this the right folder?")
    _link_shared(project, release, _links(shared))
    return number


def _take_packed(source: Source, release: Path, shared: Collection[str | Path]) -> None:
    release.mkdir(parents=True)
    if source.archive:
        from segue.build.archive import unpack  # noqa: PLC0415 - slow to import, and few have one

        unpack(source.folder, release)
    else:
        from segue.build.revision import take_commit  # noqa: PLC0415 - the same

        take_commit(source.folder, str(source.commit), release, source.url)
    _remove_linked(release, _links(shared))
    _check_links(release)
    refuse_data(databases(release, _walk(release)), shared)


def _take_tree(source: Source, release: Path, shared: Collection[str | Path], say: Say) -> None:
    paths = list(files_to_copy(source, shared))
    refuse_data({**databases(source.folder, paths), **uploads(source, paths)}, shared)
    release.mkdir(parents=True)
    made: set[str] = set()
    for path in paths:
        _copy(source.folder, path, release, made)
    for name in untracked_repositories(source.folder) if source.git else ():
        say(f"{name} is a git repository of its own, which this one neither tracks nor ignores: left out")


def files_to_copy(source: Source, shared: Iterable[str | Path]) -> Iterator[PurePosixPath]:
    """The files in the folder of `source` that a snapshot takes; git may list some that are gone."""
    links = _links(shared)
    found = git_files(source.folder) if source.git else _walk(source.folder)
    return (path for path in found if not (_NEVER.intersection(path.parts) or _is_linked(path, links)))


def _links(shared: Iterable[str | Path]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*LINKED, *map(str, shared))))


def _walk(folder: Path) -> Iterator[PurePosixPath]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if _wanted(Path(parent, name)))
        base = PurePosixPath(os.path.relpath(parent, folder))
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in (*sorted(files), *links):
            yield base / name


def _wanted(folder: Path) -> bool:
    return folder.name not in _NEVER and not (folder / "pyvenv.cfg").exists()


def _is_linked(path: PurePosixPath, links: Iterable[str]) -> bool:
    return any(f"{path}/".startswith(f"{link}/") for link in links)


def _copy(folder: Path, path: PurePosixPath, release: Path, made: set[str]) -> None:
    """Copy one file; `made` are the folders that are there. Text, not Path: there may be many thousands.

    With its mode and times; extended attributes, ACLs among them, are not copied.
    """
    source, target = os.path.join(folder, path), os.path.join(release, path)
    try:
        status = os.lstat(source)
        if (parent := os.path.dirname(target)) not in made:
            os.makedirs(parent, exist_ok=True)
            made.add(parent)
        if stat.S_ISLNK(status.st_mode):
            _check_link(folder, Path(source))
            os.symlink(os.readlink(source), target)
        elif stat.S_ISREG(status.st_mode):
            shutil.copyfile(source, target)
            os.chmod(target, stat.S_IMODE(status.st_mode))
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    except (FileNotFoundError, NotADirectoryError):
        return  # git still lists a file that was deleted
    except OSError as error:
        evidence = f"to {target}: {error}"
        message = f"{source} can't be copied: {error.strerror}."
        raise Failed("snapshot", message, evidence=evidence, hint=WRITE_HINT) from error


def _check_links(release: Path) -> None:
    """Nothing else is there yet, so that also what links do in a row can be followed."""
    whole = release.resolve()
    for parent, folders, files in os.walk(release):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.is_symlink():
                _check_link(release, path)
                if not Path(os.path.realpath(path)).is_relative_to(whole):
                    raise _leads_out(release, path, os.path.realpath(path))


def _check_link(folder: Path, link: Path) -> None:
    goal = os.readlink(link)
    if os.path.isabs(goal) or not Path(os.path.normpath(link.parent / goal)).is_relative_to(folder):
        raise _leads_out(folder, link, goal)


def _leads_out(folder: Path, link: Path, goal: str) -> Failed:
    return Failed(
        "link",
        f"{link.relative_to(folder)} is a link that leads out of the project.",
        evidence=f"{link} -> {goal}",
        hint='name it in segue.toml under shared = ["…"] if every release should see the same one',
    )


def _remove_linked(release: Path, links: Iterable[str]) -> None:
    for link in links:
        path = release / link
        if _behind_link(path, release):
            continue  # what it leads to is not the release's to remove
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _behind_link(path: Path, release: Path) -> bool:
    return any(parent.is_symlink() for parent in path.parents if parent.is_relative_to(release))


def _link_shared(project: Path, release: Path, links: Iterable[str]) -> None:
    for link in links:
        if link == "instance" and not (project / link).exists() and _uses_instance(release):
            # the app would make it inside the release, and its data would stay behind there
            (project / link).mkdir()
        # what lies in a folder that is linked is there already
        if (project / link).exists() and not (release / link).exists():
            (release / link).parent.mkdir(parents=True, exist_ok=True)
            (release / link).symlink_to(project / link)


def _uses_instance(release: Path) -> bool:
    return any(
        any(word in code for word in _WRITES_TO_INSTANCE) for code in map(_read_code, _python_files(release))
    )


def _python_files(release: Path) -> Iterator[str]:
    for parent, _, files in os.walk(release):
        paths = (os.path.join(parent, name) for name in files if name.endswith(".py"))
        yield from filter(os.path.isfile, paths)


def _read_code(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
