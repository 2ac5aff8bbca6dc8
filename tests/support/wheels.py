"""Tiny packages for tests that install, and an index of them that needs no network."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PURE = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

MODULE = """\
import sys

version = {version!r}


def main():
    print(sys.prefix, version)
"""


def make_wheel(house: Path, name: str, version: str, *requires: str, **extras: str) -> Path:
    """A wheel of `name` in the index `house`: a module, and a command, that know its version.

    Args:
        house: where it goes.
        name: the package's, and its module's.
        version: its version.
        requires: what it depends on.
        extras: what it depends on by extra.
    """
    wanted = [f"Requires-Dist: {one}" for one in requires]
    for extra, one in extras.items():
        wanted += [f"Provides-Extra: {extra}", f"Requires-Dist: {one}; extra == '{extra}'"]
    about = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *wanted, ""])
    info = f"{name}-{version}.dist-info"
    path = house / name / f"{name}-{version}-py3-none-any.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    files = {
        f"{name}.py": MODULE.format(version=version),
        f"{info}/METADATA": about,
        f"{info}/WHEEL": PURE,
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(zipfile.ZipInfo(file), text)
    return path


def hash_of(wheel: Path) -> str:
    """What a lock or a requirement binds `wheel` by."""
    return f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


class _Index(SimpleHTTPRequestHandler):
    """A folder's listing has links to the files in it, which is all that an index has to have."""

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def index(house: Path) -> Iterator[str]:
    """A package index of the wheels in `house`, and its address; afterwards nobody listens there."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Index, directory=str(house))) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()
