"""`segue up` that can't: it says why, with the documented exit code, and leaves everything as it was."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.apps import make_app
from tests.support.bad import append, processes_of, up_refused
from tests.support.site import Site, configure, segue, serving, until

from segue.disk.home import Home

PROBLEMS = """\
[app]
wrokers = 2
threads = "four"
"""

# As root, a process without these stands before permissions as any other user does.
UNPRIVILEGED = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-sys_ptrace") if os.getuid() == 0 else ()
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = (tmp_path / "project").resolve()
    make_app(folder, version="v1")
    configure(folder)
    return folder


def demand(text: str, *parts: str) -> None:
    for part in parts:
        assert part in text, text


def test_all_problems_of_config_and_flags_are_told_at_once(folder: Path) -> None:
    (folder / "segue.toml").write_text(PROBLEMS)
    demand(
        up_refused(folder, 2, "--workers", "0", "--bind", "nowhere").err,
        "error: segue.toml and the command line have 4 problems.\n",
        '  app.wrokers: unknown key; did you mean "workers"?\n',
        '  app.threads: should be a whole number, got "four"\n',
        "  --workers: should be 1 or more, got 0\n",
        "  --bind: ",
        "\n\nhint: mend what is listed",
    )
    assert not (folder / ".segue").exists()


def test_an_app_that_can_not_be_found_is_asked_for(tmp_path: Path) -> None:
    demand(
        up_refused(tmp_path, 2).err,
        f"error: No app was found in {tmp_path.resolve()}.\n",
        "  looked for app, application or create_app() in wsgi.py",
        "\n\nhint: name it: `segue up MODULE:APP`",
    )
    assert not (tmp_path / ".segue").exists()


# the address


@contextlib.contextmanager
def held(host: str, folder: Path) -> Iterator[str]:
    """An address that this process listens on."""
    if host == "unix":
        path = folder / "held.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            yield f"unix:{path}"
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host.strip("[]"), 0), family=family) as listener:
        yield f"{host}:{listener.getsockname()[1]}"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "[::1]", "unix"])
def test_who_has_the_port_is_named(folder: Path, host: str) -> None:
    with held(host, folder) as address:
        asked = address.replace("0.0.0.0", "127.0.0.1")
        demand(
            up_refused(folder, 3, "--bind", asked).err,
            f"error: {asked} is in use.\n",
            f"  held by pid {os.getpid()} of user ",
            "\n\nhint: stop that process, or choose another address with --bind\n",
        )


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be somebody whom the asker may not look into")
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "unix"])
def test_the_user_who_has_the_port_is_named_where_the_process_is_hidden(folder: Path, host: str) -> None:
    with held(host, folder) as address:
        outcome = up_refused(folder, 3, "--bind", address, prefix=UNPRIVILEGED)
    demand(outcome.err, f"error: {address} is in use.\n", "  held by a process of user root\n")


ELSEWHERE = """
import socket, sys
with socket.create_server(("127.0.0.2", int(sys.argv[1]))):
    print("listening", flush=True)
    sys.stdin.read()
"""


def test_who_has_the_same_port_of_another_address_is_in_nobodys_way(folder: Path) -> None:
    with held("127.0.0.1", folder) as address:
        port = address.rpartition(":")[2]
        argv = (sys.executable, "-c", ELSEWHERE, port)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"listening\n"
            ours = up_refused(folder, 3, "--bind", address)
            theirs = up_refused(folder, 3, "--bind", f"127.0.0.2:{port}")
            other.communicate()
    demand(ours.err, f"held by pid {os.getpid()} of ")
    demand(theirs.err, f"held by pid {other.pid} of ")


def test_a_file_that_is_no_socket_is_left_alone(folder: Path) -> None:
    """A plain file refuses connections as a dead socket does, and must not be taken for one."""
    precious = folder / "instance" / "shop.db"
    precious.write_text("orders")
    demand(
        up_refused(folder, 3, "--bind", f"unix:{precious}").err,
        f"error: {precious} is there, and is not a socket.\n",
        "-rw-",
        "hint: it was left as it is",
    )
    assert precious.read_text() == "orders"


def test_a_socket_that_somebody_dead_left_is_taken_over(folder: Path) -> None:
    path = folder / "web.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with serving(folder, bind=f"unix:{path}") as site:
        assert site.deploy()["ok"]
    assert not path.exists()


@pytest.mark.parametrize(
    ("bind", "code", "parts"),
    [
        ("192.0.2.1:8000", 2, ("This machine can't listen on 192.0.2.1:8000.", "Cannot assign", "mend bind")),
        ("no-such-host.invalid:8000", 2, ("no-such-host.invalid:8000 can't be used here", "mend bind")),
        ("unix:/nonexistent/web.sock", 2, ("unix:/nonexistent/web.sock.", "No such file", "mend bind")),
    ],
)  # fmt: skip
def test_an_address_that_can_not_be_had_is_a_usage_error(
    folder: Path, bind: str, code: int, parts: tuple[str, ...]
) -> None:
    demand(up_refused(folder, code, "--bind", bind).err, *parts)


# the disk


def test_an_unwritable_project_is_refused(folder: Path) -> None:
    folder.chmod(0o555)
    try:
        outcome = up_refused(folder, 3, prefix=UNPRIVILEGED)
    finally:
        folder.chmod(0o755)
    demand(
        outcome.err,
        f"error: {folder}/.segue can't be written: Permission denied.\n",
        f"  {folder}: mode dr-xr-xr-x, owner uid {os.getuid()}, we are uid {os.getuid()}\n",
        "\n\nhint: ",
    )
    assert not (folder / ".segue").exists()


@pytest.mark.parametrize(
    "damaged", ["", "{", "[]", '{"live": 7, "previous": null, "candidate": null, "phase": "rest"}']
)
def test_a_damaged_record_is_not_touched(folder: Path, damaged: str) -> None:
    record = folder / ".segue" / "record.json"
    record.parent.mkdir()
    record.write_text(damaged)
    demand(
        up_refused(folder, 5, "--bind", "127.0.0.1:0").err,
        f"error: {record} is damaged.\n",
        "\n\nhint: nothing was touched; what serves still serves.",
    )
    assert record.read_text() == damaged


# the first release


@pytest.mark.parametrize(
    ("fault", "parts"),
    [
        ("import paymnets", ("ModuleNotFoundError: No module named 'paymnets'.", "wsgi.py")),
        ("BEHAVIOUR['check'] = '404'", ("error: The check /healthz answered 404 Not", "Host: 127.0.0.1:")),
    ],
)  # fmt: skip
def test_a_first_release_that_is_bad_ends_up_with_its_reason(
    folder: Path, fault: str, parts: tuple[str, ...]
) -> None:
    """Nothing serves and nothing is left running; the next `segue up` of the mended project serves."""
    append(folder, fault)
    outcome = segue(folder, "up", "--bind", "127.0.0.1:0")
    assert outcome.code == 1
    demand(outcome.err, *parts, "hint: ")
    assert outcome.err.count("error: ") == 1
    status = segue(folder, "status", "--json").document
    assert (status["keeper"], status["live"], status["phase"]) == (None, None, "rest")
    for generation in Path(folder, ".segue", "receipts").glob("*.json"):
        assert not processes_of(Home(folder), generation.stem)
    make_app(folder, version="v1")
    with serving(folder) as site:
        demand_serves(site)


def demand_serves(site: Site) -> None:
    until(site.at_rest)
    assert site.segue("status", "--json").document["live"]["alive"]
