"""The app servers: which one runs an app, by which command, and what is known of their versions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from segue.config.schema import AppConfig
from segue.config.written import SOCKET
from segue.core.address import Address
from segue.core.errors import Failed

LOSSLESS_GTHREAD = (24, 0)
# its supervisor takes what the gate's subclass gives it, and stops when a worker fails to boot
OLDEST_UVICORN = (0, 52)
WSGI_WORKERS = ("sync", "gthread", "gevent")
ASGI_WORKERS = ("asgi", "uvicorn_worker.UvicornWorker")
# those that run behind the gate; the others bind by themselves, and are known by their answers alone.
# The first runs WSGI and ASGI apps
GATED = ("gunicorn", "uvicorn")
COMMAND = "command"
DEFAULT_WORKERS = 2


def fitting_servers(config: AppConfig) -> tuple[str, ...]:
    """The packages of which one has to be there; none where a command of the app's own is the server."""
    if config.server is None:
        return GATED
    return (config.server,) if isinstance(config.server, str) else ()


def choose_server(
    config: AppConfig, interface: str, installed: Mapping[str, str], python: str
) -> tuple[str, str]:
    """The server that runs an app, and its interface: the config's, else one that is `installed` beside it.

    Args:
        config: the config.
        interface: what the app looks like, ``wsgi`` or ``asgi``; empty where it could be either.
        installed: servers and their versions.
        python: the interpreter that they are installed for.

    Raises:
        Failed: it is not there, is too old, or can't run such an app.
    """
    asked_for_asgi = config.server == "uvicorn" or config.worker_class in ASGI_WORKERS
    interface = interface or ("asgi" if asked_for_asgi else "wsgi")
    by_itself = "uvicorn" if interface == "asgi" and "uvicorn" in installed else "gunicorn"
    server = (config.server if isinstance(config.server, str) else COMMAND) if config.server else by_itself
    if server == COMMAND:
        return server, interface
    if server not in installed:
        raise Failed(
            "no_server",
            f"{server.capitalize()} is not installed for {python}.",
            evidence=f"interpreter: {python}",
            hint=f"add {server} to what declares the app's packages, such as requirements.txt; where nothing "
            "does, install it for that interpreter",
        )
    if server == "uvicorn" and _numbers(installed[server]) < OLDEST_UVICORN:
        oldest = ".".join(map(str, OLDEST_UVICORN))
        raise Failed(
            "no_server",
            f"Uvicorn {installed[server]} is too old to be run behind the gate.",
            evidence=f"interpreter: {python}",
            hint=f"install uvicorn>={oldest} there",
        )
    if interface == "wsgi" and asked_for_asgi:
        raise _unfit(config, server, "a WSGI app", "gunicorn with sync, gthread or gevent workers runs it")
    if interface == "asgi" and server == "gunicorn" and config.worker_class in WSGI_WORKERS:
        hint = 'set worker_class = "asgi", or server = "uvicorn"'
        raise _unfit(config, server, "an ASGI app", hint)
    return server, interface


def _unfit(config: AppConfig, server: str, kind: str, hint: str) -> Failed:
    workers = f" with {config.worker_class} workers" if config.worker_class else ""
    return Failed("interface", f"{server.capitalize()}{workers} can't run {kind}.", hint=hint)


def command(
    server: str,
    interface: str,
    config: AppConfig,
    address: Address,
    start: Path,
    release: Path,
    python: Path,
    module: str,
) -> list[str]:
    """The master's argv; `start` is the gate's script.

    For Gunicorn, what segue owns stands here, above every config file and GUNICORN_CMD_ARGS. The listening
    socket comes by LISTEN_FDS, which makes Gunicorn pass over `--bind`.
    """
    if not isinstance(config.server, str | None):
        return [word.replace(SOCKET, address.path) for word in (*config.server, *config.server_args)]
    if server == "granian":
        return _granian(config, address, python, module, interface)
    if server == "uvicorn":
        return [str(python), str(start), "uvicorn", *config.server_args]
    drain = max(1, round(config.drain_timeout))
    owned = ("--bind", str(address), "--chdir", str(release), "--graceful-timeout", str(drain))
    return [str(python), str(start), "gunicorn", *owned, module]


def _granian(config: AppConfig, address: Address, python: Path, module: str, interface: str) -> list[str]:
    """Granian's argv: it takes no socket over, so it binds `address` by itself."""
    name, call, rest = module.partition("(")
    if rest not in ("", ")"):
        raise Failed(
            "module",
            f"Granian can't give arguments to the factory in {module}.",
            hint="name a factory without arguments, or a module that makes the app",
        )
    drain = max(1, round(config.drain_timeout))
    # an ASGI app runs in one thread, and Granian refuses more
    threads = ("--blocking-threads", str(config.threads)) if config.threads and interface == "wsgi" else ()
    return [
        *(str(python), "-m", "granian", "--interface", interface, "--uds", address.path),
        *("--workers", str(config.workers or DEFAULT_WORKERS), "--workers-kill-timeout", str(drain)),
        *("--backlog", "2048", "--respawn-failed-workers", *(("--factory",) if call else ())),
        *threads,
        *config.server_args,
        name,
    ]


def loses_requests(server: str, version: str, worker_class: str) -> bool:
    """Whether this Gunicorn's gthread worker is known to drop requests when it is told to stop (up to 23)."""
    return (server, worker_class) == ("gunicorn", "gthread") and _numbers(version) < LOSSLESS_GTHREAD


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
