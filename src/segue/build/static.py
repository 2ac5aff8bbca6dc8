"""``python -m segue.build.static``: makes a release's static files, as who builds it.

One JSON spec on stdin, JSON lines on stdout, as `segue.build`: what to do is ``make``, ``publish`` or
``exchange``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

from segue.build.__main__ import answer
from segue.build.call import EVIDENCE_LINES
from segue.build.static_files import Statics, compare, exchange, publish, told_by
from segue.core.durations import format_duration
from segue.core.errors import Failed

# while a command of the app's user writes there, who is in the builder's group for so long
_OPEN_FOLDER, _OPEN_FILE = 0o2775, 0o664
_LONGEST_OUTPUT = 65536
_MOST_NAMED = 3


def main() -> None:
    """Do what stdin asks for."""
    answer(_do, "The static files could not be written")


def _do(spec: dict[str, Any]) -> dict[str, Any]:
    work = {"make": _make, "publish": _publish, "exchange": _exchange}[spec["do"]]
    return work(spec)


def _make(spec: dict[str, Any]) -> dict[str, Any]:
    """Run the commands; then, for a command of the app's user, open the folder."""
    release, place = Path(spec["release"]), Path(spec["release"], spec["folder"])
    _demand_inside(release, place)
    # until they are published it has none: what a failure or a death leaves half made is on nobody's page
    Statics(release, spec["folder"], frozenset()).write()
    told, unset = spec["environ"]["told"], spec["environ"]["unset"]
    environ = {name: value for name, value in os.environ.items() if name not in unset} | told
    for command in spec["commands"]:
        _run(command, release, environ, spec["timeout"])
    if spec["open"]:
        place.mkdir(parents=True, exist_ok=True)
        _open(place)
    return {}


def _demand_inside(release: Path, place: Path) -> None:
    """See that the release has a folder of its own.

    Raises:
        Failed: it is linked.
    """
    if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(release)):
        raise Failed(
            "static",
            f"The static files in {place.relative_to(release)} are not the release's own.",
            evidence=f"{place} leads to {os.path.realpath(place)}",
            hint="what is in `shared` is the app's data: name another folder under [static] of segue.toml",
        )


def _run(command: list[str], release: Path, environ: dict[str, str], timeout: float) -> None:
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                command,
                cwd=release,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environ,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _failed(command, f"did not end within {format_duration(timeout)}", output) from None
        except OSError as error:
            raise _failed(command, f"could not be started: {error.strerror}", output) from None
        if done.returncode != 0:
            raise _failed(command, f"ended with status {done.returncode}", output)


def _failed(command: list[str], how: str, output: IO[bytes]) -> Failed:
    output.seek(max(0, output.seek(0, os.SEEK_END) - _LONGEST_OUTPUT))
    lines = output.read().decode(errors="replace").splitlines()[-EVIDENCE_LINES:]
    return Failed(
        "static",
        f"The static files could not be made: `{command[0]}` {how}.",
        evidence=f"{shlex.join(command)}\n{how}\n\n" + ("\n".join(lines) or "it printed nothing"),
        hint="it runs in the release, under [static] build of segue.toml; what was serving still serves",
    )


def _open(place: Path) -> None:
    for parent, _, files in os.walk(place):
        os.chmod(parent, _OPEN_FOLDER)
        for name in files:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(_OPEN_FILE)


def _publish(spec: dict[str, Any]) -> dict[str, Any]:
    release, folder = Path(spec["release"]), spec["folder"]
    _demand_inside(release, release / folder)
    if not (release / folder).is_dir():
        raise Failed(
            "static",
            f"The release has no folder {folder} with static files.",
            evidence=f"looked for {release / folder}",
            hint="name it by `folder` under [static] of segue.toml, or what makes it by `build` or `collect`",
        )
    if spec["opened"]:
        _own(release / folder)
    made = publish(release, folder)
    before = None if spec["before"] is None else Statics.read(Path(spec["before"]))
    lying = [] if before is None else compare(made, before)
    return {**told_by(made), "lying": lying[:_MOST_NAMED]}


def _own(place: Path) -> None:
    """Have none of it be the app's user's: take a copy in its place."""
    copy, old = place.with_name(f".{place.name}.segue-new"), place.with_name(f".{place.name}.segue-old")
    _copy(place, copy)
    place.rename(old)
    copy.rename(place)
    # what the app's user keeps to itself goes with the release
    shutil.rmtree(old, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in entries:
            status, to = entry.stat(follow_symlinks=False), target / entry.name
            if stat.S_ISDIR(status.st_mode):
                _copy(Path(entry.path), to)
            # nginx goes by a link's owner: a copy of one of the app's user's would be ours
            elif stat.S_ISLNK(status.st_mode) and status.st_uid == os.getuid():
                to.symlink_to(os.readlink(entry.path))
            elif stat.S_ISREG(status.st_mode):
                shutil.copyfile(entry.path, to, follow_symlinks=False)


def _exchange(spec: dict[str, Any]) -> dict[str, Any]:
    return {"removed": exchange(Path(spec["releases"]))}


if __name__ == "__main__":
    main()
