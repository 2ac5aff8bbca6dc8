"""Which names a config serves, at which ports, and where it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from segue.front.tree import read_tree, served, words_of


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.conf").write_text(text)
    return folder / "main.conf"


def names(folder: Path, **files: str) -> set[tuple[str, str]]:
    return {(each.name, each.port) for each in served(read_tree(write(folder, **files)))}


@pytest.mark.parametrize(
    ("listen", "ports"),
    [
        ("", {"80"}),
        ("listen 8080;", {"8080"}),
        ("listen 80; listen [::]:80;", {"80"}),
        ("listen 443 ssl; listen 80 default_server;", {"80", "443"}),
        ("listen 127.0.0.1:81;", {"81"}),
        ("listen 127.0.0.1;", {"80"}),
        ("listen [::1];", {"80"}),
        ("listen *:82;", {"82"}),
        ("listen localhost;", {"80"}),
    ],
)
def test_ports(tmp_path: Path, listen: str, ports: set[str]) -> None:
    found = names(tmp_path, main=f"http {{ server {{ {listen} server_name a.example; }} }}")
    assert found == {("a.example", port) for port in ports}


def test_names(tmp_path: Path) -> None:
    text = "http { server { server_name A.example .b.example *.c.example; server_name d.example; } }"
    assert {name for name, _ in names(tmp_path, main=text)} == {
        "a.example", "b.example", "*.c.example", "d.example",
    }  # fmt: skip


def test_what_is_included_is_told_by_its_own_place(tmp_path: Path) -> None:
    conf = write(
        tmp_path,
        main=f"http {{\n include {tmp_path}/a*.conf;\n include b.conf;\n server {{ server_name c; }}\n}}",
        a1="\nserver { server_name a; }",
        b="server { include names.conf; }",
        names="server_name b;",
    )
    found = {each.name: each.server.where for each in served(read_tree(conf))}
    assert found == {
        "a": f"{tmp_path}/a1.conf:2",
        "b": f"{tmp_path}/b.conf:1",
        "c": f"{tmp_path}/main.conf:4",
    }


def test_only_http_is_served(tmp_path: Path) -> None:
    assert names(tmp_path, main="stream { server { listen 80; server_name a; } }") == set()


def test_what_cant_be_parsed_is_left_out(tmp_path: Path) -> None:
    good = "server { server_name a; }"
    files = {"main": "http { include bad.conf; include good.conf; include none.conf; }", "bad": "server { {"}
    assert names(tmp_path, **files, good=good) == {("a", "80")}


def test_a_circle_comes_to_an_end(tmp_path: Path) -> None:
    assert names(tmp_path, main="http { include main.conf; server { server_name a; } }") == {("a", "80")}


def test_words_of_the_main_context(tmp_path: Path) -> None:
    tree = read_tree(write(tmp_path, main="pid /run/x.pid; http { error_log /a; }"))
    assert words_of(tree, "pid") == ("/run/x.pid",)
    assert words_of(tree, "error_log") == ()
