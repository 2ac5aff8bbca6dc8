from pathlib import Path
from typing import Any

import pytest

from segue.config.load import load_config
from segue.core.errors import UsageError


def refusal(
    project: Path, text: str, overrides: dict[str, Any] | None = None, name: str = "segue.toml"
) -> UsageError:
    (project / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        load_config(project, overrides or {})
    assert caught.value.kind == "config"
    return caught.value


A_DURATION = 'should be a duration in quotes with its unit, such as "30s"'
A_NAME = (
    'should be a name of 1 to 64 letters, digits, ".", "_" or "-" that begins with neither "." nor "-", '
    'such as "shop"'
)
A_PATH = 'should be a path that begins with "/", without spaces or accents, such as "/healthz"'
AN_APP = 'should be "MODULE:APP" or "MODULE:FACTORY()", such as "wsgi:app"'
AN_ADDRESS = 'should be "HOST:PORT", "[IPV6]:PORT" or "unix:/PATH", such as "127.0.0.1:8000"'
A_HOST = 'should be a host, with or without port, such as "shop.example"'
WORKERS = "should be 'sync', 'gthread', 'gevent', 'asgi' or 'uvicorn_worker.UvicornWorker'"
SERVERS = (
    'should be "gunicorn", "uvicorn", "granian", or a command such as ["my-server", "--socket", "{socket}"]'
)
A_KEY = 'should be the name of an environment variable, such as "DATABASE_URL"'
A_KIND = (
    'should be "url", "secret", "int", "bool", "text", with "?" at its end where the key may be missing, '
    'such as "url?"'
)
INSIDE = "should be a path inside the project, relative to it"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("wokers = 4", 'app.wokers: unknown key; did you mean "workers"?'),
        ('"ready timeout" = 4', 'app."ready timeout": unknown key; did you mean "ready_timeout"?'),
        ("colour = 4", "app.colour: unknown key"),
        ('host = "web1"', "app.host: unknown here; it belongs under [targets.NAME]"),
        ('workers = "four"', 'app.workers: should be a whole number, got "four"'),
        ('workers = "4"', 'app.workers: should be a whole number, got "4"'),
        ("workers = 4.0", "app.workers: should be a whole number, got 4.0"),
        ("workers = true", "app.workers: should be a whole number, got true"),
        ("workers = []", "app.workers: should be a whole number, got a list"),
        ("workers = {}", "app.workers: should be a whole number, got a table"),
        ("workers = 2026-11-21", "app.workers: should be a whole number, got 2026-11-21"),
        ("workers = 0", "app.workers: should be 1 or more, got 0"),
        ("workers = 1001", "app.workers: should be 1000 or less, got 1001"),
        (f"workers = 0x{'f' * 9000}", "app.workers: should be 1000 or less, got a very long number"),
        ("threads = 0", "app.threads: should be 1 or more, got 0"),
        ("probe_rate = 1001", "app.probe_rate: should be 1000 or less, got 1001"),
        ("keep = 0", "app.keep: should be 1 or more, got 0"),
        ("watch_requests = -1", "app.watch_requests: should be 0 or more, got -1"),
        ("preload = 1", "app.preload: should be true or false, got 1"),
        ('auto_rollback = "no"', 'app.auto_rollback: should be true or false, got "no"'),
        ("watch = 30", f"app.watch: {A_DURATION}, got 30"),
        ("watch = 0.5", f"app.watch: {A_DURATION}, got 0.5"),
        ('watch = "30"', f'app.watch: {A_DURATION}, got "30"'),
        ('watch = "-1s"', f'app.watch: {A_DURATION}, got "-1s"'),
        ('watch = "٣s"', f'app.watch: {A_DURATION}, got "٣s"'),
        ('linger = "25h"', 'app.linger: should be at most "24h", got "25h"'),
        (f'linger = "{"9" * 400}h"', 'app.linger: should be at most "24h", got text of 401 characters'),
        ('check_interval = "0s"', 'app.check_interval: should be longer than nothing, got "0s"'),
        ('watch = "2m"', "app: watch_limit (60.0 s) is shorter than watch (120.0 s)"),
        ('server = "apache"', f'app.server: {SERVERS}, got "apache"'),
        ("server = {}", f"app.server: {SERVERS}, got a table"),
        ("server = []", f"app.server: {SERVERS}, got a list"),
        ('server = ["serve", 3]', f"app.server: {SERVERS}, got a list"),
        (
            'server = ["serve", "--port", "80"]',
            'app.server: should be a command with "{socket}" in it once: where it is to listen, got a list',
        ),
        ('worker_class = "eventlet"', f'app.worker_class: {WORKERS}, got "eventlet"'),
        ('check_scheme = "ftp"', "app.check_scheme: should be 'http' or 'https', got \"ftp\""),
        ('name = ""', f'app.name: {A_NAME}, got ""'),
        ('name = ".."', f'app.name: {A_NAME}, got ".."'),
        ('name = "my shop"', f'app.name: {A_NAME}, got "my shop"'),
        ('name = "shop\\n"', f'app.name: {A_NAME}, got "shop\\n"'),
        (f'name = "{"x" * 65}"', f'app.name: {A_NAME}, got "{"x" * 65}"'),
        ("name = 3", f"app.name: {A_NAME}, got 3"),
        ('module = "wsgi"', f'app.module: {AN_APP}, got "wsgi"'),
        ('module = "shop/wsgi.py:app"', f'app.module: {AN_APP}, got "shop/wsgi.py:app"'),
        ('module = "shop:create_app("', f'app.module: {AN_APP}, got "shop:create_app("'),
        ("bind = 8000", f"app.bind: {AN_ADDRESS}, got 8000"),
        ('bind = "localhost"', f'app.bind: {AN_ADDRESS}, got "localhost"'),
        ('bind = "localhost:70000"', 'app.bind: should have a port from 0 to 65535, got "localhost:70000"'),
        ('check = "healthz"', f'app.check: {A_PATH}, got "healthz"'),
        ('check = "/a b"', f'app.check: {A_PATH}, got "/a b"'),
        ('check_host = "a\\r\\nX: y"', f'app.check_host: {A_HOST}, got "a\\r\\nX: y"'),
        ('gunicorn_config = "/etc/g.py"', f'app.gunicorn_config: {INSIDE}, got "/etc/g.py"'),
        ('shared = ["media", "../x"]', f'app.shared.1: {INSIDE}, got "../x"'),
        ('shared = ["."]', f'app.shared.0: {INSIDE}, got "."'),
        ('shared = "media"', 'app.shared: should be a list, got "media"'),
        ('python = ""', 'app.python: should be a path, such as ".venv/bin/python", got ""'),
    ],
)
def test_one_problem_in_app(tmp_path: Path, line: str, problem: str) -> None:
    error = refusal(tmp_path, f"[app]\n{line}\n")
    assert error.message == "segue.toml has 1 problem."
    assert error.evidence == problem
    assert error.hint


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("workers = 4", "workers: unknown here; it belongs under [app]"),
        ("[ap]", 'ap: unknown key; did you mean "app"?'),
        ("app = 3", "app: should be a table, got 3"),
        ("[[app]]", "app: should be a table, got a list"),
        ("targets = 3", "targets: should be a table, got 3"),
        ("targets.web = 3", "targets.web: should be a table, got 3"),
        ('[targets."a b"]', f'targets."a b": {A_NAME}, got "a b"'),
        ('[targets.web]\n"[key]" = 1', 'targets.web."[key]": unknown key'),
        ("[targets.web]\nwokers = 1", 'targets.web.wokers: unknown key; did you mean "workers"?'),
        ('[targets.web]\nname = "x"', "targets.web.name: unknown here; it belongs under [app]"),
        ('[targets.web]\nhost = "-oProxyCommand=x"', ""),
        ('[targets.web]\ndomain = "https://shop"', ""),
        ('[targets.web]\ndomain = "shop.example; include /etc/passwd"', ""),
        ('[targets.web]\nuser = "shop\\nroot"', ""),
        ('[targets.web]\nuser = "-o"', ""),
        ('[targets.web]\ncertificate = "/etc/ssl/../shadow"', ""),
        ('[targets.web]\ncertificate = "/etc/ssl/a b;"', ""),
        ('[targets.web]\nbody_limit = "10m; root /"', ""),
        ('[targets.web]\nunconfined = ["ExecStart"]', ""),
    ],
)
def test_one_problem_elsewhere(tmp_path: Path, text: str, problem: str) -> None:
    evidence = refusal(tmp_path, text).evidence
    assert len(evidence.splitlines()) == 1
    assert evidence == problem or (not problem and "targets.web." in evidence)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('A = "uri"', f'env.A: {A_KIND}, got "uri"'),
        ('A = "url??"', f'env.A: {A_KIND}, got "url??"'),
        ("A = true", f"env.A: {A_KIND}, got true"),
        ('A-B = "url"', f'env.A-B: {A_KEY}, got "A-B"'),
        ('1A = "url"', f'env.1A: {A_KEY}, got "1A"'),
        ('"A=1" = "url"', f'env."A=1": {A_KEY}, got "A=1"'),
    ],
)
def test_one_problem_of_the_env_contract(tmp_path: Path, line: str, problem: str) -> None:
    assert refusal(tmp_path, f"[env]\n{line}\n").evidence == problem


def test_all_problems_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    error = refusal(
        tmp_path,
        """\
workers = 3
[targets.production]
watch = 30
hots = "web1"
[targets.staging]
keep = 0
[app]
wokers = 4
workers = "four"
name = "-"
""",
    )
    assert error.message == "segue.toml has 7 problems."
    assert [line.partition(":")[0] for line in error.evidence.splitlines()] == [
        "workers",
        "targets.production.watch",
        "targets.production.hots",
        "targets.staging.keep",
        "app.wokers",
        "app.workers",
        "app.name",
    ]


def test_in_pyproject_the_path_says_where(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[tool.segue.app]\nkeep = 0\n", name="pyproject.toml")
    assert error.message == "pyproject.toml has 1 problem."
    assert error.evidence == "tool.segue.app.keep: should be 1 or more, got 0"
    error = refusal(tmp_path, "[tool]\nsegue = 3\n", name="pyproject.toml")
    assert error.evidence == "tool.segue: should be a table, got 3"


def test_a_flag_is_called_by_its_name(tmp_path: Path) -> None:
    error = refusal(tmp_path, "", {"workers": 0, "check_host": "a b"})
    assert error.message == "The command line has 2 problems."
    assert error.evidence == f'--workers: should be 1 or more, got 0\n--check-host: {A_HOST}, got "a b"'


def test_problems_of_file_and_flags_together(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[app]\nkeep = 0\n", {"workers": 0})
    assert error.message == "segue.toml and the command line have 2 problems."


def test_long_or_unprintable_words_are_not_repeated(tmp_path: Path) -> None:
    long = "x" * 81
    error = refusal(tmp_path, f'[app]\n{long} = 1\nmodule = "{long}"\ncheck = "\\u001b[31m\\u009b"\n')
    assert error.evidence.splitlines() == [
        "app.(a key of 81 characters): unknown key",
        f"app.module: {AN_APP}, got text of 81 characters",
        f'app.check: {A_PATH}, got "\\u001b[31m\\u009b"',
    ]
