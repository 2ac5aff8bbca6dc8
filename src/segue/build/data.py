"""Data that a release would take with it: what is written there by one release is missing in the next."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from segue.build.source import Source
from segue.build.tracked import untracked
from segue.core.errors import Failed

_MAGIC = b"SQLite format 3\0"
_SMALLEST_PAGE = 512


def refuse_data(found: dict[str, str], shared: Collection[str | Path]) -> None:
    """Refuse to go on where data was `found`.

    Args:
        found: paths in the project, and what lies there.
        shared: the paths that the config names already.

    Raises:
        Failed: there is data, and the hint is the line for the config.
    """
    found = {
        path: found[path] for path in found if found.keys().isdisjoint(map(str, PurePosixPath(path).parents))
    }
    if not found:
        return
    line = json.dumps([*map(str, shared), *sorted(found)], ensure_ascii=False)
    raise Failed(
        "data",
        f"The release would have a copy of {_named(sorted(found))}, and what is written there would be lost.",
        evidence="\n".join(f"{path}: {what}" for path, what in sorted(found.items())),
        hint=f"say in segue.toml, under [app], that all releases share it: shared = {line}",
    )


def _named(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def uploads(source: Source, paths: Iterable[PurePosixPath]) -> dict[str, str]:
    """The upload folders among the files of a working tree.

    They are folders called uploads, and one called media at the top, with files that git does not track;
    without git, with any. What is in a commit or an archive was put there on purpose.
    """
    inside = [path for path in paths if _upload_folder(path) and not path.name.startswith(".")]
    if source.sent or not inside:
        return {}
    uploaded = untracked(source.folder, inside) if source.git else inside
    folders = [str(_upload_folder(path)) for path in uploaded]
    told = "that git does not track" if source.git else "in it"
    return {folder: f"an upload folder, {folders.count(folder)} files {told}" for folder in folders}


def _upload_folder(path: PurePosixPath) -> PurePosixPath | None:
    folders = path.parts[:-1]
    for number, name in enumerate(folders):
        if name == "uploads" or (name == "media" and number == 0):
            return PurePosixPath(*folders[: number + 1])
    return None


def databases(folder: Path, paths: Iterable[PurePosixPath]) -> dict[str, str]:
    """The SQLite databases among the files `paths` in `folder`; what is hidden is some tool's cache."""
    shown = (path for path in paths if not any(part.startswith(".") for part in path.parts))
    return {str(path): "a SQLite database" for path in shown if _is_database(folder / path)}


def _is_database(path: Path) -> bool:
    try:
        size = path.lstat().st_size
        # few files have a whole number of pages, so few are opened
        if size == 0 or size % _SMALLEST_PAGE or path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False  # gone, or not for us to read: copying it says so
