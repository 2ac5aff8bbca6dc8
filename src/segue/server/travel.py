"""How a source travels from a laptop to a server: as an archive over the system's ssh."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path, PurePosixPath
from subprocess import PIPE

from segue.build.snapshot import LINKED, Say, snapshot
from segue.build.source import Source
from segue.core.errors import Unreachable
from segue.server.asking import SSH
from segue.server.layout import Layout


def send(source: Source, host: str, layout: Layout, shared: Collection[Path], say: Say) -> Source:
    """Bring `source` to `host`; the same source as the server sees it.

    Raises:
        Failed: it can't be copied.
        Unreachable: ssh, or the server's segue, did not take it.
    """
    with tempfile.TemporaryDirectory(prefix="segue-send-") as folder:
        code, data = Path(folder, "code"), Path(folder, "data")
        data.mkdir()
        snapshot(source, data, code, shared, say)
        there = _send(code, host, layout, {*map(str, shared), *LINKED})
    # it was exported or unpacked here: there it is a folder like any other
    return replace(source, folder=Path(there), git=False, archive=False, sent=True)


def _send(code: Path, host: str, layout: Layout, linked: Collection[str]) -> str:
    argv = (*SSH, host, f"{layout.python} -I -m segue.server.receive")
    with subprocess.Popen(argv, stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("ssh's pipes were asked for")
        try:
            with tarfile.open(fileobj=process.stdin, mode="w|gz") as archive:
                archive.add(code, arcname=".", filter=lambda entry: _kept(entry, linked))
            process.stdin.close()
        except BrokenPipeError:
            pass  # it says why on the other pipe
        said, complaint = process.stdout.read().decode(), process.stderr.read().decode(errors="replace")
    if process.returncode != 0 or not said.startswith("/"):
        raise Unreachable(
            "ssh",
            f"The source could not be sent to {host}.",
            evidence=complaint.strip() or f"ssh ended with {process.returncode}",
            hint=f"does `ssh {host}` work, and was the server set up?",
        )
    return said.strip()


def _kept(entry: tarfile.TarInfo, linked: Collection[str]) -> tarfile.TarInfo | None:
    """What is linked there is data: the server has its own."""
    return None if str(PurePosixPath(entry.name)) in linked else entry
