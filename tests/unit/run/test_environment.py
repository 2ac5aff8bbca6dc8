"""What is remembered of an environment: which of its keys changed, and nothing of its values."""

from __future__ import annotations

from pathlib import Path

from segue.run.environment import Difference, Fingerprint

BEFORE = {"SAME": "1", "CHANGED": "s3cret-1", "REMOVED": "x"}
AFTER = {"SAME": "1", "CHANGED": "s3cret-2", "ADDED": ""}
EXPECTED = Difference(frozenset({"ADDED"}), frozenset({"CHANGED"}), frozenset({"REMOVED"}))


def test_a_difference_is_told_by_key(tmp_path: Path) -> None:
    Fingerprint.of(BEFORE).leave(tmp_path)
    before = Fingerprint.read(tmp_path)
    assert before is not None
    assert Fingerprint.of(AFTER, before.salt).since(before) == EXPECTED
    assert Fingerprint.of(BEFORE, before.salt).since(before) == Difference()


def test_no_value_is_written_down_nor_what_two_files_could_be_compared_by(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Fingerprint.of({"A": "s3cret", "B": "s3cret"}).leave(tmp_path / name)
        file = tmp_path / name / "env.json"
        assert file.stat().st_mode & 0o777 == 0o600
        texts.append(file.read_text())
    assert "s3cret" not in "".join(texts)
    one, two = (Fingerprint.read(tmp_path / name) for name in ("one", "two"))
    assert one is not None
    assert two is not None
    assert one.digests["A"] == one.digests["B"] != two.digests["A"]


def test_where_nothing_is_known_nothing_is_compared(tmp_path: Path) -> None:
    assert Fingerprint.read(tmp_path) is None
    (tmp_path / "env.json").write_text("[]")
    assert Fingerprint.read(tmp_path) is None


def test_bytes_that_are_no_text_are_told_apart() -> None:
    before = Fingerprint.of({"A": "\udcfe"})
    assert Fingerprint.of({"A": "\udcff"}, before.salt).since(before).changed == {"A"}
