"""Remote repositories, mirrored in the user's cache: what is far is fetched by who asks, and then is near."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from segue.build.tracked import submodules
from segue.core.errors import Failed, Unreachable, UsageError

HEAD = "refs/segue/HEAD"
_SCHEMES = ("https", "ssh", "file")
_REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", f"+HEAD:{HEAD}")
KEPT_MIRRORS, KEPT_DAYS = 20, 30
_DEEPEST = 5  # submodules of submodules
_URL_OF = re.compile(r"^submodule\.(.*)\.(path|url) (.*)$")


def is_url(path: str) -> bool:
    """Whether `path` is no path, but a URL."""
    return "://" in path


def fetch(url: str, revision: str | None) -> tuple[Path, str]:
    """Bring the mirror of the repository at `url` up to date, and those of its submodules.

    Returns:
        The mirror, and what names `revision` in it; the remote's own HEAD where none is given.

    Raises:
        UsageError: it is no URL that segue fetches from.
        Unreachable: it can't be fetched.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segue" / "git"
    mirror = mirror_of(url, cache)
    _fetch(url, mirror)
    name = HEAD if revision in (None, "HEAD") else str(revision)
    _fetch_submodules(mirror, url, name, _DEEPEST)
    forget_unused(cache)
    return mirror, name


def mirror_of(url: str, cache: Path) -> Path:
    """Where in `cache` the mirror of `url` lies."""
    return cache / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.git"


def forget_unused(cache: Path) -> None:
    """Remove the mirrors in `cache` that were not fetched for long, or are too many; none of today."""
    found = sorted(cache.glob("*.git"), key=lambda path: path.stat().st_mtime, reverse=True)
    for number, mirror in enumerate(found):
        days = (time.time() - mirror.stat().st_mtime) / 86400
        if days > KEPT_DAYS or (number >= KEPT_MIRRORS and days > 1):
            shutil.rmtree(mirror, ignore_errors=True)


def submodule_urls(mirror: Path, url: str, commit: str) -> dict[str, str]:
    """Where the submodules of `commit` come from, by their path: as .gitmodules says, seen from `url`."""
    done = _git(mirror, "config", "--blob", f"{commit}:.gitmodules", "--get-regexp", r"\.(path|url)$")
    found: dict[str, dict[str, str]] = {}
    for match in filter(None, map(_URL_OF.match, done.stdout.splitlines())):
        found.setdefault(match[1], {})[match[2]] = match[3]
    return {
        one["path"]: _seen_from(url, one["url"]) for one in found.values() if one.keys() == {"path", "url"}
    }


def _seen_from(url: str, other: str) -> str:
    if not other.startswith(("./", "../")):
        return other
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=posixpath.normpath(posixpath.join(parts.path, other))))


def _fetch_submodules(mirror: Path, url: str, name: str, depth: int) -> None:
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    commit = _git(mirror, *words).stdout.strip()
    if not commit:
        return  # whoever takes it says that it is not there
    urls = submodule_urls(mirror, url, commit)
    for path, wanted in submodules(mirror, commit).items():
        other = urls.get(str(path), "")
        if not depth or not is_url(other):
            raise Failed(
                "submodule",
                f"The submodule {path} can't be fetched.",
                evidence=f"its url in .gitmodules: {other or 'none'}",
                hint="give it a full or a relative URL there",
            )
        if urlsplit(other).scheme == "file" and urlsplit(url).scheme != "file":
            hint = "a repository from elsewhere may not name what lies here"
            message = f"The submodule {path} is a folder of this machine."
            raise UsageError("url", message, evidence=other, hint=hint)
        _fetch(other, mirror_of(other, mirror.parent))
        _fetch_submodules(mirror_of(other, mirror.parent), other, wanted, depth - 1)


def _fetch(url: str, mirror: Path) -> None:
    _check(url)
    mirror.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    done = _git(mirror.parent, "init", "--quiet", "--bare", str(mirror))
    if mirror.is_dir():
        os.utime(mirror)  # it is in use
    if done.returncode == 0:
        # read back by who resolves a revision in it
        done = _git(mirror, "config", "segue.url", url)
    if done.returncode == 0:
        done = _git(mirror, "fetch", "--quiet", "--prune", "--no-tags", "--force", "--", url, *_REFS)
    if done.returncode != 0:
        raise Unreachable(
            "git",
            f"{url} can't be fetched.",
            evidence=done.stderr.strip() or f"git ended with {done.returncode}",
            hint=f"does `git ls-remote {url}` work, without asking anything?",
        )


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        evidence = f"its scheme: {parts.scheme[:20]}"
        hint = f"segue fetches by {', '.join(_SCHEMES)}"
        raise UsageError("url", "That is no URL to fetch from.", evidence=evidence, hint=hint)
    if parts.password is not None or (parts.username is not None and parts.scheme == "https"):
        raise UsageError(
            "url",
            "A URL with a password or a token in it is not taken.",
            evidence=f"host: {parts.hostname}",
            hint="keep it in git's credential helper or in ~/.netrc, or use ssh with a key",
        )


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    never_ask = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": ":".join(_SCHEMES)}
    ssh = {"GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")}
    return subprocess.run(
        ("git", "-C", str(folder), *words),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        errors="replace",
        env={**os.environ, **never_ask, **ssh},
    )
