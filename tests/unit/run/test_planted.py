"""On a server root reads and writes where the app's user writes too: whatever lies there, root is not led."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from segue.run.counters import Counts
from segue.run.generation import Generation

SECRET = '{"held": 7, "at": 1.0, "kind": "boot", "evidence": "the secret"}'


def link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "secret")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.fixture
def generation(tmp_path: Path) -> Generation:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "folder").mkdir()
    return Generation("20261121T013455-8c1f2e9.1", tmp_path / "folder")


@pytest.mark.parametrize("plant", [link, loop, os.mkfifo, bound, Path.mkdir])
def test_what_is_no_plain_file_says_nothing_and_stops_nobody(
    generation: Generation, plant: Callable[[Path], None]
) -> None:
    for name in ("counters.1", "counters.ended", "check.1", "crashed.1", "booted.json", "refused.json"):
        plant(generation.folder / name)
    assert generation.counts() == Counts()
    assert (generation.checks(), generation.crashes()) == ([], [])
    assert (generation.booted(), generation.refused()) == (None, None)


def test_names_that_are_no_pids_are_passed_over(generation: Generation) -> None:
    for name in (
        "ready.x1",
        "ready.-1",
        "surplus.1.x2",
        f"surplus.{'1' * 200}",
        "ready.²1",
    ):
        (generation.folder / name).touch()
    assert (generation.ready_workers(), generation.surplus()) == ([], [])


@pytest.mark.parametrize("plant", [link, loop, os.mkfifo, Path.mkdir])
@pytest.mark.parametrize("word", ["go", "no", "leaving"])
def test_a_word_is_never_written_elsewhere(
    generation: Generation, word: str, plant: Callable[[Path], None]
) -> None:
    secret = generation.folder.parent / "secret"
    secret.unlink()
    plant(generation.folder / word)
    generation.tell(word)
    assert not secret.exists()


def test_counters_that_never_rest_are_read_all_the_same(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = generation.folder / "counters.ended"
    path.write_bytes(b"")
    listdir, seen = os.listdir, []

    def busy(folder: Path) -> list[str]:
        seen.append(1)
        os.utime(path, ns=(len(seen), len(seen)))
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", busy)
    assert generation.counts() == Counts()
