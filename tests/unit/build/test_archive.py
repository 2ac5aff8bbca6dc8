"""An archive is unpacked whole, or refused: no member gets out of the release."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from segue.build import archive
from segue.build.snapshot import snapshot
from segue.build.source import resolve_source
from segue.core.errors import Failed, UsageError

OUTSIDE = ("../evil.py", "/tmp/evil.py", "deep/../../evil.py", "..")


def tar(path: Path, *members: tuple[str, bytes], mode: int = 0o644) -> Path:
    """A tar archive: a member whose name ends with ``>`` is a link to its content."""
    with tarfile.open(path, "w:gz") as opened:
        for name, content in members:
            info = tarfile.TarInfo(name.rstrip(">"))
            info.mode = mode
            if name.endswith(">"):
                info.type, info.linkname = tarfile.SYMTYPE, content.decode()
            else:
                info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, *members: tuple[str, bytes], mode: int = 0o644) -> Path:
    """The same as a zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members:
            info = zipfile.ZipInfo(name.rstrip(">"))
            info.external_attr = (0o120777 if name.endswith(">") else 0o100000 | mode) << 16
            opened.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


Pack = Callable[..., Path]
PACK = pytest.mark.parametrize("pack", [tar, zipped])


def unpacked(path: Path, *shared: str) -> Path:
    release = path.parent / "release"
    snapshot(resolve_source(path, None), path.parent / "project", release, shared, print)
    return release


def names(release: Path) -> set[str]:
    return {os.path.relpath(path, release) for path in release.rglob("*") if not path.is_dir()}


@PACK
def test_its_files_links_and_executable_bits_are_taken(tmp_path: Path, pack: Pack) -> None:
    members = (("wsgi.py", b"app\n"), ("deep/page.html", b"hi"), ("start>", b"deep/page.html"))
    release = unpacked(pack(tmp_path / "shop", *members, mode=0o755))
    assert names(release) == {"wsgi.py", "deep/page.html", "start"}
    assert (release / "start").readlink() == Path("deep/page.html")
    assert os.access(release / "wsgi.py", os.X_OK)


@PACK
def test_the_one_folder_that_all_lies_in_is_the_project(tmp_path: Path, pack: Pack) -> None:
    release = unpacked(pack(tmp_path / "shop", ("shop-1.0/wsgi.py", b""), ("shop-1.0/a/b", b"")))
    assert names(release) == {"wsgi.py", "a/b"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["release", "shop"]


@PACK
def test_a_package_alone_stays_where_it_is(tmp_path: Path, pack: Pack) -> None:
    release = unpacked(pack(tmp_path / "shop", ("shop/__init__.py", b"")))
    assert names(release) == {"shop/__init__.py"}


@PACK
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_member_outside_is_refused(tmp_path: Path, pack: Pack, name: str) -> None:
    path = pack(tmp_path / "shop", ("wsgi.py", b""), (name, b"evil"))
    with pytest.raises(Failed, match="has a member that no project has") as failed:
        unpacked(path)
    assert failed.value.evidence == f"{name!r}: outside of the project"
    assert not list(tmp_path.glob("evil*"))


@PACK
@pytest.mark.parametrize("goal", ["/etc/passwd", "../outside", "deep/../../outside"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, pack: Pack, goal: str) -> None:
    path = pack(tmp_path / "shop", ("deep/wsgi.py", b""), ("b", b""), ("out>", goal.encode()))
    with pytest.raises(Failed, match="out is a link that leads out of the project"):
        unpacked(path)


@PACK
def test_links_that_lead_out_together_are_refused(tmp_path: Path, pack: Pack) -> None:
    members = (("deep/wsgi.py", b""), ("here>", b"."), ("out>", b"here/../other"))
    with pytest.raises(Failed, match="out is a link that leads out of the project"):
        unpacked(pack(tmp_path / "shop", *members))


@PACK
def test_nothing_is_written_through_a_link(tmp_path: Path, pack: Pack) -> None:
    (tmp_path / "outside").mkdir()
    members = (("out>", b"../outside"), ("out/evil.py", b"evil"))
    with pytest.raises(Failed):
        unpacked(pack(tmp_path / "shop", *members))
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE])
def test_what_is_neither_file_nor_folder_nor_link_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "shop.tar"
    with tarfile.open(path, "w") as opened:
        info = tarfile.TarInfo("device")
        info.type, info.linkname = kind, "wsgi.py"
        opened.addfile(info)
    with pytest.raises(Failed, match="has a member") as failed:
        unpacked(path)
    assert "'device'" in failed.value.evidence


@PACK
def test_one_that_grows_beyond_measure_is_refused(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 1 << 20)
    path = pack(tmp_path / "shop", *((f"zeros{number}", bytes(700_000)) for number in range(2)))
    assert path.stat().st_size < 10_000
    with pytest.raises(Failed, match="is too large"):
        unpacked(path)


@PACK
def test_one_with_too_many_members_is_refused(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 2)
    path = pack(tmp_path / "shop", *((str(number), b"") for number in range(3)))
    with pytest.raises(Failed, match="is too large"):
        unpacked(path)


def test_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "shop.tar.gz", ("wsgi.py", os.urandom(50_000)))
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(Failed, match="can't be unpacked"):
        unpacked(path)


@PACK
def test_what_is_shared_is_not_taken_and_a_database_is_refused(tmp_path: Path, pack: Pack) -> None:
    database = b"SQLite format 3\0" + bytes(1008)
    path = pack(tmp_path / "shop", ("wsgi.py", b""), (".env", b"SECRET=1"), ("shop.db", database))
    with pytest.raises(Failed, match=r"would have a copy of shop\.db"):
        unpacked(path)
    path.rename(tmp_path / "again")
    (tmp_path / "release").rename(tmp_path / "refused")
    assert names(unpacked(tmp_path / "again", "shop.db")) == {"wsgi.py"}


def test_what_is_no_archive_and_one_with_a_revision_are_usage_errors(tmp_path: Path) -> None:
    (tmp_path / "shop.zip").write_text("no zip")
    with pytest.raises(UsageError, match="is no archive"):
        resolve_source(tmp_path / "shop.zip", None)
    with pytest.raises(UsageError, match="An archive has no revisions"):
        resolve_source(tar(tmp_path / "shop.tar.gz", ("wsgi.py", b"")), "v1")
