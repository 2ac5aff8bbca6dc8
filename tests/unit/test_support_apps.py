"""The apps that other tests deploy do what they say: under a real Gunicorn where a process matters."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.util import setup_testing_defaults

import pytest
from tests.support.apps import make_app, stored_orders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

ANSWER_TIMEOUT = 30.0
EXIT_TIMEOUT = 30.0
BOOT_FAILED, APP_NOT_FOUND = 3, 4


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]


class Server(NamedTuple):
    process: subprocess.Popen[bytes]
    port: int

    @contextmanager
    def connection(self, timeout: float = ANSWER_TIMEOUT) -> Iterator[HTTPConnection]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            yield connection
        finally:
            connection.close()

    def get(self, path: str, timeout: float = ANSWER_TIMEOUT) -> Answer:
        with self.connection(timeout) as connection:
            connection.request("GET", path)
            return read(connection.getresponse())

    def post(self, path: str, body: Any) -> Answer:
        with self.connection() as connection:
            connection.request("POST", path, body)
            return read(connection.getresponse())


def read(response: HTTPResponse) -> Answer:
    return Answer(response.status, response.read(), dict(response.headers))


@contextmanager
def gunicorn(folder: Path) -> Iterator[Server]:
    """The listener is bound before Gunicorn starts, so requests queue until it is ready: nothing to poll."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        options = ["--bind", f"fd://{fd}", "--threads", "4", "--no-control-socket"]
        command = [sys.executable, "-m", "gunicorn", *options, "wsgi:app"]
        with (folder / "gunicorn.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=folder, pass_fds=[fd], stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield Server(process, listener.getsockname()[1])
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def load(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("sample", folder / "wsgi.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(module: ModuleType, path: str, body: bytes = b"") -> Answer:
    environ: dict[str, Any] = {"PATH_INFO": path, "wsgi.input": BytesIO(body)}
    setup_testing_defaults(environ)
    started: list[Any] = []
    content = b"".join(module.app(environ, lambda *args: started.extend(args)))
    status, headers = started
    return Answer(int(status.split()[0]), content, dict(headers))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    make_app(folder, version="v1")
    with gunicorn(folder) as server:
        yield server


def test_home_answers_with_the_version(served: Server) -> None:
    assert served.get("/").body == b"v1"


def test_pid_is_the_worker_s(served: Server) -> None:
    assert int(served.get("/pid").body) != served.process.pid


def test_what_is_not_there_is_not_found(served: Server) -> None:
    assert served.get("/nowhere").status == 404


def test_error_answers_500(served: Server) -> None:
    assert served.get("/error").status == 500


def test_slow_takes_the_seconds_asked_for(served: Server) -> None:
    started = time.monotonic()
    assert served.get("/slow?seconds=0.3").status == 200
    assert time.monotonic() - started >= 0.3


def test_stream_sends_a_chunk_each_tenth_of_a_second(served: Server) -> None:
    started = time.monotonic()
    answer = served.get("/stream?seconds=0.3")
    assert time.monotonic() - started >= 0.3
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.body == b"chunk 0\nchunk 1\nchunk 2\n"


def test_upload_counts_what_arrives_piece_by_piece(served: Server) -> None:
    pieces = (b"x" * 50_000 for _ in range(4))
    assert served.post("/upload", pieces).body == b"200000"


def test_an_order_is_stored_before_it_is_acknowledged(tmp_path: Path) -> None:
    make_app(tmp_path, version="v1")
    assert stored_orders(tmp_path) == []
    module = load(tmp_path)
    answers = [call(module, "/orders", b'{"id": %d}' % number) for number in (7, 8, 7)]
    assert [answer.status for answer in answers] == [201, 201, 201]
    assert stored_orders(tmp_path) == [7, 8, 7]


def test_editing_the_project_keeps_its_config_and_data(tmp_path: Path) -> None:
    make_app(tmp_path, version="v1", not_callable=True)
    (tmp_path / "segue.toml").write_text("[app]\nworkers = 3\n")
    make_app(tmp_path, version="v2")
    call(load(tmp_path), "/orders", b'{"id": 1}')
    make_app(tmp_path, version="v3")
    assert call(load(tmp_path), "/").body == b"v3"
    assert (tmp_path / "segue.toml").read_text() == "[app]\nworkers = 3\n"
    assert stored_orders(tmp_path) == [1]


def test_importing_is_half_computing_and_half_waiting(tmp_path: Path) -> None:
    make_app(tmp_path, version="v1", import_seconds=2.0)
    computed, started = time.process_time(), time.monotonic()
    load(tmp_path)
    assert 1.0 <= time.process_time() - computed < 1.75
    assert time.monotonic() - started >= 2.0


@pytest.mark.parametrize("failure", ["ImportError", "ModuleNotFoundError", "SyntaxError"])
def test_an_import_error_ends_the_boot_with_its_traceback(tmp_path: Path, failure: Any) -> None:
    make_app(tmp_path, version="v1", import_error=failure)
    with gunicorn(tmp_path) as server:
        assert server.process.wait(EXIT_TIMEOUT) == BOOT_FAILED
    assert f"{failure}: " in (tmp_path / "gunicorn.log").read_text()


@pytest.mark.parametrize(
    ("project", "said"),
    [
        ({"not_callable": True}, "Application object must be callable"),
        ({"missing_attribute": True}, "Failed to find attribute 'app'"),
    ],
)
def test_without_an_app_the_boot_ends(tmp_path: Path, project: dict[str, Any], said: str) -> None:
    make_app(tmp_path, version="v1", **project)
    with gunicorn(tmp_path) as server:
        assert server.process.wait(EXIT_TIMEOUT) == APP_NOT_FOUND
    assert said in (tmp_path / "gunicorn.log").read_text()


def test_a_hanging_import_does_not_end(tmp_path: Path) -> None:
    make_app(tmp_path, version="v1", import_hang=True)
    command = [sys.executable, "-c", "print('importing', flush=True); import wsgi"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"importing\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.kill()


@pytest.mark.parametrize(
    ("check", "status", "header"),
    [
        ("ok", 200, {}),
        ("404", 404, {}),
        ("redirect", 302, {"Location": "https://secure.example/healthz"}),
        ("500", 500, {}),
        ("wrong_release", 200, {"X-Segue-Release": "other"}),
    ],
)
def test_the_check_answers_as_asked(tmp_path: Path, check: Any, status: int, header: dict[str, str]) -> None:
    make_app(tmp_path, version="v1", check=check)
    module = load(tmp_path)
    answer = call(module, "/healthz")
    assert answer.status == status
    assert header.items() <= answer.headers.items()
    assert call(module, "/").status == 200


def test_only_the_check_hangs(tmp_path: Path) -> None:
    make_app(tmp_path, version="v1", check="hang")
    with gunicorn(tmp_path) as server:
        assert server.get("/").status == 200
        with pytest.raises(TimeoutError):
            server.get("/healthz", timeout=0.3)
        assert server.get("/").status == 200


def test_a_crash_takes_the_worker_and_the_next_one_serves(tmp_path: Path) -> None:
    make_app(tmp_path, version="v1")
    with gunicorn(tmp_path) as server:
        first = server.get("/pid").body
        with pytest.raises(ConnectionResetError):
            server.get("/crash")
        assert server.get("/pid").body != first


def test_each_worker_crashes_on_its_first_request_but_not_on_a_check(tmp_path: Path) -> None:
    make_app(tmp_path, version="v1", crash_on_first_request=True)
    with gunicorn(tmp_path) as server:
        for _ in range(2):
            assert server.get("/healthz").status == 200
            with pytest.raises(ConnectionResetError):
                server.get("/")


@pytest.mark.parametrize(
    ("share", "failing"), [(0.0, []), (0.25, [4, 8]), (0.5, [2, 4, 6, 8]), (1.0, [*range(1, 9)])]
)
def test_a_share_of_home_requests_fails_evenly(tmp_path: Path, share: float, failing: list[int]) -> None:
    make_app(tmp_path, version="v1", error_share=share)
    module = load(tmp_path)
    statuses = [call(module, "/").status for _ in range(8)]
    assert [number for number, status in enumerate(statuses, 1) if status == 500] == failing


def test_noise_is_printed_with_each_request(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_app(tmp_path, version="v1", stdout_noise=100)
    module = load(tmp_path)
    call(module, "/")
    call(module, "/healthz")
    assert capfd.readouterr().out == f"{'.' * 100}\n" * 2
