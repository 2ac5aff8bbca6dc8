"""What a release has that the one before it had not: commits, and packages by their versions."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segue.build.source import Source

MOST_COMMITS = 50
LONGEST_COMMIT = 160
_INSTALLED = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)\.dist-info")


def recent_commits(source: Source) -> tuple[str, ...]:
    """The last commits of `source`, newest first: full id, space, subject; none without git."""
    if not source.git:
        return ()
    wanted = source.commit or "HEAD"
    argv = ("git", "-C", str(source.folder), "log", f"--max-count={MOST_COMMITS}", "--format=%H %s", wanted)
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    lines = done.stdout.split("\n") if done.returncode == 0 else []
    return tuple(plain(line)[:LONGEST_COMMIT] for line in lines if line)


def plain(line: str) -> str:
    """`line` with a space for each letter that can't be printed."""
    return "".join(letter if letter.isprintable() else " " for letter in line)


def commits_since(log: Sequence[str], revision: str | None) -> list[str] | None:
    """The commits of `log` since `revision`, each with a short id; None where nobody can know."""
    found: list[str] = []
    for line in log:
        commit, _, subject = line.partition(" ")
        if revision is not None and commit.startswith(revision):
            return found
        found.append(f"{commit[:7]} {subject}")
    return None


def packages_changed(release: Path, before: Path | None) -> dict[str, Any]:
    """What is installed in `release` and was not, the other way round, and in another version, by line.

    Nothing where one of the two has no virtual environment of its own.
    """
    now, then = _installed(release), before and _installed(before)
    if not now or not then:
        return {}
    return {
        "added": [f"{name} {now[name]}" for name in sorted(now.keys() - then.keys())],
        "removed": [f"{name} {then[name]}" for name in sorted(then.keys() - now.keys())],
        "changed": [
            f"{name} {then[name]} → {now[name]}"
            for name in sorted(now.keys() & then.keys())
            if now[name] != then[name]
        ],
    }


def _installed(release: Path) -> dict[str, str]:
    """Each package, by the folders that an installer leaves."""
    found = (
        _INSTALLED.fullmatch(path.name)
        for path in release.glob(".venv/lib/python3*/site-packages/*.dist-info")
    )
    return {match["name"]: match["version"] for match in found if match}
