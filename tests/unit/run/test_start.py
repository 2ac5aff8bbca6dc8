"""How a generation is started, as a value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from segue.config.schema import AppConfig
from segue.core.address import parse_address
from segue.run.servers import loses_requests
from segue.run.start import generation_environment, start_document

PROJECT = Path("/srv/shop")
RELEASE = PROJECT / ".segue/releases/20261121T013455-8c1f2e9"
NAME = f"{RELEASE.name}.1"
FOLDER = PROJECT / ".segue/generations" / NAME
OURS = {
    "SEGUE_RELEASE": RELEASE.name,
    "SEGUE_GENERATION": NAME,
    "SEGUE_GENERATION_FOLDER": str(FOLDER),
}
SECRETS = {"API_KEY": "s3cret-1", "DATABASE_URL": "postgres://u:s3cret-2@db", "SEGUE_TOKEN": "s3cret-3"}


def document(environ: dict[str, str] | None = None, **config: Any) -> dict[str, Any]:
    return start_document(
        AppConfig.model_validate({"name": "shop", **config}),
        parse_address("127.0.0.1:8000"),
        generation=NAME,
        folder=FOLDER,
        project=PROJECT,
        release=RELEASE,
        python=RELEASE / ".venv/bin/python",
        module="wsgi:app",
        server="gunicorn",
        interface="wsgi",
        environ=environ or {},
    )


def test_no_value_of_the_environment_is_written_down() -> None:
    text = json.dumps(document({**SECRETS, "PATH": "/bin", "PWD": "/srv/s3cret-4"}))
    assert "s3cret" not in text


def test_what_segue_owns_stands_on_the_command_line() -> None:
    argv = document(drain_timeout="30s")["argv"]
    gate = FOLDER / "gate/segue_gate/start.py"
    assert argv[:3] == [str(RELEASE / ".venv/bin/python"), str(gate), "gunicorn"]
    options = dict(zip(argv[3:-1:2], argv[4:-1:2], strict=True))
    assert (
        options.items()
        >= {"--bind": "127.0.0.1:8000", "--chdir": str(RELEASE), "--graceful-timeout": "30"}.items()
    )
    assert argv[-1] == "wsgi:app"


def test_a_drain_shorter_than_gunicorn_knows_is_a_second() -> None:
    argv = document(drain_timeout="100ms")["argv"]
    assert argv[argv.index("--graceful-timeout") + 1] == "1"


@pytest.mark.parametrize(
    ("path", "mapped"),
    [
        ("/srv/shop/lib", f"{RELEASE}/lib"),
        ("/srv/shop", f"{RELEASE}"),
        ("lib", f"{RELEASE}/lib"),
        ("/opt/lib:/srv/shop/lib:", f"/opt/lib:{RELEASE}/lib:"),
        ("/srv/shop2/lib", "/srv/shop2/lib"),
    ],
)
def test_what_python_finds_in_the_project_it_finds_in_the_release(path: str, mapped: str) -> None:
    assert document({"PYTHONPATH": path})["environ"]["PYTHONPATH"] == mapped


def test_the_environment_leads_to_the_release_and_not_to_the_live_tree() -> None:
    base = {
        "PATH": "/bin",
        "PWD": "/srv/shop",
        "VIRTUAL_ENV": "/srv/shop/.venv",
        "LISTEN_PID": "1",
        "HOME": "/root",
    }
    python = RELEASE / ".venv/bin/python"
    env = generation_environment(base, project=PROJECT, release=RELEASE, python=python, folder=FOLDER)
    assert env.pop("PATH") == f"{RELEASE}/.venv/bin:/bin"
    assert env == {"HOME": "/root", **OURS}
    start = document(base)
    assert {"PWD", "VIRTUAL_ENV", "LISTEN_PID"} <= set(start["unset"])
    assert start["environ"].keys() == {"PATH", *OURS}


def test_only_what_the_config_says_is_decided_for_the_app() -> None:
    assert document()["settings"] == {}
    assert document(workers=3, threads=2, preload=False)["settings"] == {
        "workers": 3,
        "threads": 2,
        "preload_app": False,
    }


def test_the_check_goes_to_the_host_and_scheme_that_the_app_expects() -> None:
    check = document(check="/healthz", check_host="shop.example", check_scheme="https")["check"]
    assert (check["path"], check["host"], check["scheme"]) == ("/healthz", "shop.example", "https")
    assert document()["check"]["host"] == "127.0.0.1:8000"


@pytest.mark.parametrize(
    ("version", "worker_class", "loses"),
    [
        ("23.0.0", "gthread", True),
        ("21.2", "gthread", True),
        ("27.0.1", "gthread", False),
        ("23.0.0", "sync", False),
    ],
)
def test_gthread_before_24_is_known_to_lose_requests(version: str, worker_class: str, loses: bool) -> None:
    assert loses_requests("gunicorn", version, worker_class) is loses
