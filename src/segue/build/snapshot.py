"""Snapshot: copies a source's files into a release, so that a live tree is never what runs."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath

from segue.build.source import Source
from segue.core.errors import Failed

LINKED = (".env", "instance")
_NEVER = frozenset({".segue", ".git", "__pycache__"})
_WRITES_TO_INSTANCE = re.compile(rb"instance_path|instance_relative_config|sqlite:///")


def snapshot(source: Source, project: Path, release: Path, shared: Collection[str | Path]) -> int:
    """Copy the files of `source` into `release` and link what is shared; the number of files.

    Raises:
        Failed: a link leads out of the tree, or a file can't be read.
    """
    links = _links(shared)
    release.mkdir(parents=True)
    if source.commit is not None:
        _export(source, release)
        _remove_linked(release, links)
        _check_links(release)
    else:
        for path in files_to_copy(source, shared):
            _copy(source.folder, path, release)
    number = sum(len(files) for _, _, files in os.walk(release))
    if not number:
        raise Failed("empty", f"There are no files in {source.describe()}.", hint="is this the right folder?")
    _link_shared(project, release, links)
    return number


def files_to_copy(source: Source, shared: Iterable[str | Path]) -> Iterator[PurePosixPath]:
    """The files in the folder of `source` that a snapshot takes; git may list some that are gone."""
    links = _links(shared)
    found = _git_files(source.folder) if source.git else _walk(source.folder)
    return (path for path in found if not _is_linked(path, links))


def _links(shared: Iterable[str | Path]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*LINKED, *map(str, shared))))


def _git_files(folder: Path) -> Iterator[PurePosixPath]:
    argv = (
        "git",
        "-C",
        str(folder),
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
        "--",
        ".",
    )
    output = subprocess.run(argv, capture_output=True, check=True).stdout
    for name in dict.fromkeys(output.split(b"\0")):
        path = PurePosixPath(os.fsdecode(name))
        if name and not _NEVER.intersection(path.parts):
            yield path


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
    return any(path.is_relative_to(link) for link in links)


def _copy(folder: Path, path: PurePosixPath, release: Path) -> None:
    source, target = folder / path, release / path
    try:
        mode = source.lstat().st_mode
        target.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISLNK(mode):
            _check_link(folder, source)
            target.symlink_to(os.readlink(source))
        elif stat.S_ISREG(mode):
            shutil.copy2(source, target)
    except (FileNotFoundError, NotADirectoryError):
        return  # git still lists a file that was deleted
    except OSError as error:
        raise Failed("snapshot", f"{source} can't be copied: {error.strerror}.") from error


def _check_links(release: Path) -> None:
    for parent, folders, files in os.walk(release):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.is_symlink():
                _check_link(release, path)


def _check_link(folder: Path, link: Path) -> None:
    goal = os.readlink(link)
    if os.path.isabs(goal) or not Path(os.path.normpath(link.parent / goal)).is_relative_to(folder):
        raise Failed(
            "link",
            f"{link.relative_to(folder)} is a link that leads out of the project.",
            evidence=f"{link} -> {goal}",
            hint='name it in segue.toml under shared = ["…"] if every release should see the same one',
        )


def _export(source: Source, release: Path) -> None:
    argv = ("git", "-C", str(source.folder), "archive", "--format=tar", str(source.commit))
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as git:
        assert git.stdout is not None  # noqa: S101 - it was asked for one line above
        try:
            with tarfile.open(fileobj=git.stdout, mode="r|") as archive:
                # by attribute: Python before 3.11.4 knows neither the parameter nor the filter
                archive.extraction_filter = getattr(tarfile, "tar_filter", None)
                archive.extractall(release)  # noqa: S202 - the paths in it are git's own
            git.stdout.read()  # the padding after the archive's end: git must not meet a closed pipe
        except (tarfile.TarError, OSError) as error:
            raise Failed("snapshot", f"{source.describe()} can't be exported: {error}.") from error
    if git.returncode != 0:
        raise Failed("snapshot", f"git could not export {source.describe()}.")


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
        _WRITES_TO_INSTANCE.search(path.read_bytes()) for path in release.rglob("*.py") if path.is_file()
    )
