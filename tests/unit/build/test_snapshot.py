"""A release has the files of its source, no others, and shares what every release must share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.git import Repository, write

from segue.build.snapshot import snapshot
from segue.build.source import resolve_source
from segue.core.errors import Failed

STRANGE = ("new\nline.py", "é ü.py", "-rf", "--help", "back\\slash", "tab\t", '"quoted"', "日本.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


@pytest.fixture
def repository(project: Path) -> Repository:
    return Repository.create(project)


def released(project: Path, *shared: str, rev: str | None = None) -> set[str]:
    """The names of all files and links in a release of `project`."""
    release = release_of(project)
    number = snapshot(resolve_source(project, rev), project, release, shared, print)
    names = set()
    for parent, folders, files in os.walk(release):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        names |= {os.path.relpath(Path(parent, name), release) for name in (*files, *links)}
    linked = {name for name in names if (release / name).is_symlink()}
    assert number >= len(names - linked)
    return names


def release_of(project: Path) -> Path:
    return project / ".segue" / "releases" / "one"


# what belongs to it


def test_tracked_and_new_files_are_taken_and_ignored_ones_are_not(repository: Repository) -> None:
    project = repository.folder
    write(project, ".gitignore", content="*.log\nbuild/\n")
    write(project, "app.py", "pages/home.html", "debug.log", "build/out.js", ".git-blame")
    repository.commit()
    write(project, "new.py", "__pycache__/app.pyc", "pages/__pycache__/x.pyc")
    assert released(project) == {".gitignore", ".git-blame", "app.py", "pages/home.html", "new.py"}


def test_a_changed_file_is_taken_as_it_lies_there(repository: Repository) -> None:
    write(repository.folder, "app.py")
    repository.commit()
    write(repository.folder, "app.py", content="changed\n")
    released(repository.folder)
    assert (release_of(repository.folder) / "app.py").read_text() == "changed\n"


def test_a_tracked_file_that_was_deleted_is_left_out(repository: Repository) -> None:
    write(repository.folder, "app.py", "gone.py", "gone/deep.py")
    repository.commit()
    (repository.folder / "gone.py").unlink()
    (repository.folder / "gone" / "deep.py").unlink()
    (repository.folder / "gone").rmdir()
    assert released(repository.folder) == {"app.py"}
    assert not (release_of(repository.folder) / "gone").exists()


def test_a_tracked_folder_that_became_a_file_is_a_file(repository: Repository) -> None:
    write(repository.folder, "app.py", "models/cart.py")
    repository.commit()
    (repository.folder / "models" / "cart.py").unlink()
    (repository.folder / "models").rmdir()
    write(repository.folder, "models")
    assert released(repository.folder) == {"app.py", "models"}


@pytest.mark.parametrize("rev", [None, "HEAD"])
def test_a_project_in_a_sub_folder_is_only_that(repository: Repository, rev: str | None) -> None:
    write(repository.folder, "README", "site/app.py", "site/pages/home.html", "sitemap/x")
    repository.commit()
    assert released(repository.folder / "site", rev=rev) == {"app.py", "pages/home.html"}


def test_a_project_that_its_outer_repository_ignores_is_taken_whole(repository: Repository) -> None:
    write(repository.folder, "sandbox/app.py", "sandbox/deep/x.py")
    write(repository.folder, ".gitignore", content="/sandbox/\n")
    repository.commit()
    assert released(repository.folder / "sandbox") == {"app.py", "deep/x.py"}


def test_without_git_everything_is_taken_but_what_is_never_code(project: Path) -> None:
    write(project, "app.py", "pages/home.html", "debug.log", "venv.py")
    write(
        project, ".venv/pyvenv.cfg", "env/pyvenv.cfg", "env/bin/python", "deep/env3/pyvenv.cfg", "deep/a.py"
    )
    write(project, "__pycache__/app.pyc", ".segue/record.json", "vendored/.git/config", "vendored/b.py")
    wanted = {"app.py", "pages/home.html", "debug.log", "venv.py", "deep/a.py", "vendored/b.py"}
    assert released(project) == wanted


def test_names_may_be_anything_a_file_can_be_called(project: Path) -> None:
    write(project, *STRANGE)
    Path(os.fsdecode(os.fsencode(project) + b"/latin-\xe9")).touch()
    assert released(project) == {*STRANGE, os.fsdecode(b"latin-\xe9")}


@pytest.mark.parametrize("rev", [None, "HEAD"])
def test_names_may_be_anything_that_git_can_track(repository: Repository, rev: str | None) -> None:
    write(repository.folder, *STRANGE)
    repository.commit()
    assert released(repository.folder, rev=rev) == set(STRANGE)


@pytest.mark.parametrize("rev", [None, "HEAD"])
def test_executable_bits_are_kept(repository: Repository, rev: str | None) -> None:
    write(repository.folder, "run.sh", "plain.py")
    (repository.folder / "run.sh").chmod(0o755)
    repository.commit()
    released(repository.folder, rev=rev)
    assert os.access(release_of(repository.folder) / "run.sh", os.X_OK)
    assert not (release_of(repository.folder) / "plain.py").stat().st_mode & 0o111


def test_a_revision_is_what_was_committed_whatever_lies_there_now(repository: Repository) -> None:
    write(repository.folder, "app.py", content="one\n")
    repository.commit()
    repository.git("tag", "v1")
    write(repository.folder, "app.py", "later.py", content="two\n")
    repository.commit()
    write(repository.folder, "app.py", "untracked.py", content="three\n")
    assert released(repository.folder, rev="v1") == {"app.py"}
    assert (release_of(repository.folder) / "app.py").read_text() == "one\n"


def test_a_revision_from_before_the_project_was_there_is_an_error(repository: Repository) -> None:
    write(repository.folder, "README")
    repository.commit()
    repository.git("tag", "v0")
    write(repository.folder, "site/app.py")
    repository.commit()
    with pytest.raises(Failed):
        released(repository.folder / "site", rev="v0")


@pytest.mark.parametrize("with_git", [True, False])
def test_an_empty_tree_is_an_error(project: Path, with_git: bool) -> None:
    if with_git:
        Repository.create(project).commit()
    with pytest.raises(Failed, match="There are no files"):
        released(project)


def test_an_empty_commit_is_an_error(repository: Repository) -> None:
    repository.commit()
    with pytest.raises(Failed):
        released(repository.folder, rev="HEAD")


# links


@pytest.mark.parametrize("way", ["tree", "git", "commit"])
def test_links_inside_are_kept_as_links(project: Path, way: str) -> None:
    write(project, "pages/home.html", "deep/down/x.py")
    (project / "start").symlink_to("pages/home.html")
    (project / "all-pages").symlink_to("pages")
    (project / "deep" / "down" / "up").symlink_to("../../pages")
    (project / "dangling").symlink_to("not-yet")
    if way != "tree":
        Repository.create(project).commit()
    names = released(project, rev="HEAD" if way == "commit" else None)
    assert names >= {"start", "all-pages", "deep/down/up", "dangling"}
    for name in ("start", "all-pages", "deep/down/up", "dangling"):
        assert os.readlink(release_of(project) / name) == os.readlink(project / name)


@pytest.mark.parametrize("way", ["tree", "git", "commit"])
@pytest.mark.parametrize("goal", ["/etc/passwd", "../outside", "deep/../../outside", ".."])
def test_a_link_that_leads_out_is_refused(project: Path, way: str, goal: str) -> None:
    write(project, "app.py", "deep/x.py")
    (project / "media").symlink_to(goal)
    if way != "tree":
        Repository.create(project).commit()
    with pytest.raises(Failed, match="media is a link that leads out of the project") as failed:
        released(project, rev="HEAD" if way == "commit" else None)
    assert failed.value.evidence.endswith(f"media -> {goal}")


# what is shared


@pytest.mark.parametrize("way", ["tree", "git", "commit"])
def test_what_is_shared_is_linked_and_never_copied_even_if_tracked(project: Path, way: str) -> None:
    write(project, "app.py", ".env", "instance/shop.db", "media/a/b.png", "media2/c.png", "deep/.env")
    if way != "tree":
        Repository.create(project).commit()
    names = released(project, "media", rev="HEAD" if way == "commit" else None)
    assert names == {"app.py", ".env", "instance", "media", "media2/c.png", "deep/.env"}
    for name in (".env", "instance", "media"):
        assert os.readlink(release_of(project) / name) == str(project / name)


def test_what_is_shared_may_lie_deep_lead_out_and_be_named_twice(project: Path) -> None:
    write(project, "app.py", "var/data/a.db", "instance/b.db", "instance/uploads/c.png")
    (project / "media").symlink_to("/usr/share")
    released(project, "var/data", "media", "instance", "instance/uploads", "var/data")
    assert os.readlink(release_of(project) / "var" / "data") == str(project / "var" / "data")
    assert (release_of(project) / "instance" / "uploads" / "c.png").read_text() == "content\n"
    assert not (project / "instance" / "uploads").is_symlink()


def test_what_is_shared_but_not_there_is_left_out(project: Path) -> None:
    write(project, "app.py")
    assert released(project, "media") == {"app.py"}


def test_an_instance_folder_is_made_where_the_app_would_make_it_in_the_release(project: Path) -> None:
    write(project, "app.py", content="app = Flask(__name__, instance_relative_config=True)\n")
    assert released(project) == {"app.py", "instance"}
    assert (project / "instance").is_dir()
