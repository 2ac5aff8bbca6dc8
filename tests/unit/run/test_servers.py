"""Which server runs an app."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from segue.config.schema import AppConfig
from segue.core.address import Address
from segue.core.errors import Failed
from segue.run.gate.loading import interface_of
from segue.run.servers import choose_server, command

BOTH = {"gunicorn": "27.0.1", "uvicorn": "0.54.0"}

SYNC = {"server": "gunicorn", "worker_class": "sync"}


def chosen(interface: str, installed: dict[str, str], **config: Any) -> tuple[str, str]:
    return choose_server(AppConfig.model_validate({"name": "x", **config}), interface, installed, "python")


@pytest.mark.parametrize(
    ("interface", "config", "wanted"),
    [
        ("wsgi", {}, ("gunicorn", "wsgi")),
        ("asgi", {}, ("uvicorn", "asgi")),
        ("asgi", {"server": "gunicorn"}, ("gunicorn", "asgi")),
        ("", {}, ("gunicorn", "wsgi")),
        ("", {"server": "uvicorn"}, ("uvicorn", "asgi")),
        ("", {"worker_class": "asgi", "server": "gunicorn"}, ("gunicorn", "asgi")),
    ],
)
def test_the_config_decides_and_else_what_is_there(
    interface: str, config: dict[str, Any], wanted: tuple[str, str]
) -> None:
    assert chosen(interface, BOTH, **config) == wanted


def test_an_asgi_app_without_uvicorn_is_gunicorns() -> None:
    assert chosen("asgi", {"gunicorn": "27.0.1"}) == ("gunicorn", "asgi")


@pytest.mark.parametrize(
    ("interface", "installed", "config", "message"),
    [
        ("wsgi", {}, {}, "Gunicorn is not installed for python."),
        ("asgi", {"gunicorn": "27.0.1"}, {"server": "uvicorn"}, "Uvicorn is not installed for python."),
        ("asgi", {"uvicorn": "0.40.0"}, {}, "Uvicorn 0.40.0 is too old to be run behind the gate."),
        ("wsgi", BOTH, {"server": "uvicorn"}, "Uvicorn can't run a WSGI app."),
        ("asgi", BOTH, SYNC, "Gunicorn with sync workers can't run an ASGI app."),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    interface: str, installed: dict[str, str], config: dict[str, Any], message: str
) -> None:
    with pytest.raises(Failed) as failed:
        chosen(interface, installed, **config)
    assert failed.value.message == message


async def a_function(scope: Any, receive: Any, send: Any) -> None: ...


class AnObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


def a_wsgi_app(environ: Any, start_response: Any) -> Any: ...


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (a_function, "asgi"),
        (AnObject(), "asgi"),
        (functools.partial(a_function), "asgi"),
        (lambda scope, receive, send: None, "asgi"),
        (a_wsgi_app, "wsgi"),
        (lambda environ, start_response, /: None, "wsgi"),
        (lambda *args: None, ""),
    ],
)
def test_an_app_says_what_it_is(app: Any, interface: str) -> None:
    assert interface_of(app) == interface


def granian(interface: str, module: str = "wsgi:app", **config: Any) -> list[str]:
    settings = AppConfig.model_validate({"name": "x", "server": "granian", **config})
    socket = Address(path="/run/http.sock")
    return command(
        "granian", interface, settings, socket, Path("gate"), Path("release"), Path("python"), module
    )


def test_granian_binds_the_generations_socket_by_itself() -> None:
    argv = granian("asgi", workers=3, drain_timeout="7s", server_args=["--no-ws"])
    assert argv[:7] == ["python", "-m", "granian", "--interface", "asgi", "--uds", "/run/http.sock"]
    assert argv[-2:] == ["--no-ws", "wsgi:app"]
    for name, value in (("--workers", "3"), ("--workers-kill-timeout", "7")):
        assert argv[argv.index(name) + 1] == value
    assert "--factory" not in argv


def test_granian_calls_a_factory_that_wants_nothing() -> None:
    argv = granian("wsgi", "shop:make_app()")
    assert "--factory" in argv
    assert argv[-1] == "shop:make_app"
    with pytest.raises(Failed, match="can't give arguments"):
        granian("wsgi", "shop:make_app('a')")


def test_granian_has_as_many_threads_as_the_config_says_where_it_may() -> None:
    argv = granian("wsgi", threads=16)
    assert argv[argv.index("--blocking-threads") + 1] == "16"
    assert "--blocking-threads" not in granian("asgi", threads=16)
