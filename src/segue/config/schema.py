"""What segue.toml may say. The docstring of a key is its entry in docs/config.md and in the JSON Schema.

The models take the file's own words: ``AppConfig.model_validate({"name": "shop", "watch": "10s"})``, and
``model_dump(mode="json")`` gives the same words back. As attributes, durations are floats, in seconds.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator
from pydantic_core import PydanticCustomError

from segue.config.written import (
    Bind,
    Command,
    CommandOrFalse,
    Domain,
    EnvKey,
    EnvKind,
    FilePath,
    FolderUrl,
    FullPath,
    HostHeader,
    InnerPath,
    Module,
    Name,
    PackageExtra,
    PlainFolder,
    ProcessName,
    Seconds,
    Server,
    Size,
    SomeSeconds,
    SshHost,
    UnixName,
    UrlPath,
    Word,
)
from segue.core.address import Address

Count = Annotated[int, Field(ge=1, le=1000)]
Commands = Annotated[tuple[Command, ...], Strict(strict=False)]
Confinement = Literal[
    "CapabilityBoundingSet",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateTmp",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "RemoveIPC",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "SystemCallFilter",
]


class _Table(BaseModel):
    """A table of the file: no unknown keys, no guessed types, and nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class _Named(_Table):
    name: Name
    """What the app is called. Without it: the name of the project's folder."""


class Settings(_Table):
    """Every key that `[app]` and `[targets.NAME]` share."""

    module: Module | None = None
    """The app: `"wsgi:app"`, or a factory, `"shop:create_app()"`. Without it: detected."""

    server: Server | None = None
    """What runs the app: a server by name, or a command such as `["my-server", "--socket", "{socket}"]`. A
    command, and `"granian"`, need a front, so a server target. Without it: for ASGI apps Uvicorn where the
    app has it installed, else Gunicorn."""

    server_args: Annotated[tuple[Word, ...], Strict(strict=False)] = ()
    """Further words for the server's own command line, such as `["--loop", "uvloop"]`."""

    bind: Bind = Address("127.0.0.1", 8000)
    """Where users come in: `"HOST:PORT"`, `"[::1]:8000"` or `"unix:/path"`. Port 0 chooses a free one."""

    workers: Count | None = None
    """Worker processes. Without it: the app's own gunicorn.conf.py, else WEB_CONCURRENCY, else 2."""

    threads: Count | None = None
    """Threads per worker; more than one makes gthread workers. Without it: the app's own setting."""

    worker_class: Literal["sync", "gthread", "gevent", "asgi", "uvicorn_worker.UvicornWorker"] | None = None
    """Gunicorn's kind of worker. Without it: the app's own setting; else `asgi` for ASGI apps, and for others
    Gunicorn's choice."""

    preload: bool | None = None
    """Import the app once, in the master, before the workers fork. Without it: the app's own setting."""

    gunicorn_config: InnerPath | None = None
    """The app's Gunicorn config, relative to the project. Without it: gunicorn.conf.py, if there."""

    python: FilePath | None = None
    """An existing interpreter that runs the app; nothing is installed then. Without it: a virtual environment
    with the packages that the project [declares](dependencies.md), else the project's own interpreter, which
    a server has not. There it has to lie where the app's sandbox lets it be read: in no home or `/tmp`."""

    extras: Annotated[tuple[PackageExtra, ...], Strict(strict=False)] = ()
    """Optional dependencies of pyproject.toml, by name, that the app needs too."""

    groups: Annotated[tuple[PackageExtra, ...], Strict(strict=False)] = ()
    """Dependency groups of pyproject.toml that the app needs too; without it none, not even `dev`."""

    check: UrlPath = "/"
    """The path that tells whether a release is healthy."""

    check_host: HostHeader | None = None
    """The Host header of a check. Without it: taken from `bind`."""

    check_scheme: Literal["http", "https"] = "http"
    """The scheme that a check pretends to have come in by; `"https"` for apps that redirect plain HTTP."""

    check_interval: SomeSeconds = 1.0
    """The time between two checks."""

    check_timeout: SomeSeconds = 5.0
    """How long the answer to a check may take."""

    ready_timeout: SomeSeconds = 60.0
    """How long a release may take from its start until it is healthy."""

    watch: Seconds = 10.0
    """How long a release that has taken over is watched, at least, before the deploy is committed."""

    watch_limit: Seconds = 60.0
    """The end of the watch, also where `watch_requests` were not reached; not shorter than `watch`."""

    watch_requests: Annotated[int, Field(ge=0, le=1_000_000)] = 50
    """How many requests the new release should have answered before the watch ends."""

    linger: Seconds = 1.0
    """How long a leaving worker still serves its open connections after it stopped accepting."""

    drain_timeout: Seconds = 30.0
    """How long the old release may take to finish what it holds; what lasts longer is cut."""

    probe_rate: Count = 10
    """How many requests a second the probe sends while a deploy runs."""

    wrap: bool = True
    """Wrap the app in a thin layer that names the release in each answer and counts requests. Without it, the
    watch has the probe alone to judge by, and streams are cut at the end of the drain."""

    standby: Seconds = 60.0
    """On a server: how long the drained generation is kept warm for a rollback that needs no boot."""

    smoke: Annotated[tuple[UrlPath, ...], Strict(strict=False)] = ()
    """On a server: further paths that have to answer below 400 after the switch; else it is taken back."""

    smoke_commands: Commands = ()
    """On a server: commands that have to end with 0 after the switch; else it is taken back. They run in the
    new release, as the app's user in its sandbox, and SEGUE_URL tells them where users come in."""

    migrate: CommandOrFalse | None = None
    """How a deploy migrates the database: a command, which is run as it is, or `false` for not at all.
    Without it: Alembic, Flask-Migrate or Django, where the project has `alembic.ini`,
    `migrations/alembic.ini` or `manage.py`; what the code that serves can't live with is refused."""

    migrate_timeout: SomeSeconds = 600.0
    """How long the migrations may take, and half of it the wait for another deploy's."""

    keep: Count = 5
    """How many good releases stay on disk."""

    auto_rollback: bool = True
    """Take a release back by itself if the watch finds it worse."""

    shared: Annotated[tuple[InnerPath, ...], Strict(strict=False)] = ()
    """Paths that are linked from the project instead of copied, besides `.env` and `instance`."""


class App(Settings, _Named):
    """The `[app]` table."""

    @model_validator(mode="after")
    def _watch_fits_its_limit(self) -> Self:
        if self.watch_limit < self.watch:
            raise PydanticCustomError(
                "contradiction",
                "watch_limit ({limit} s) is shorter than watch ({watch} s)",
                {"limit": self.watch_limit, "watch": self.watch},
            )
        return self


class Process(_Table):
    """A process that the app has beside those that serve; a bare command is a table with nothing else."""

    command: Command
    """What runs: one text, or a list of words; no shell. It is looked up in the release's own environment."""

    drain_timeout: SomeSeconds = 60.0
    """How long it may take to finish what it holds, from SIGTERM to SIGKILL."""

    steady: Seconds = 5.0
    """How long a new one has to stay up to count as started."""

    single: bool = False
    """Never run two at once, as for a scheduler: the old one ends before the new one starts. Without it, the
    new one starts first, and nothing waits."""

    required: bool = False
    """Take the release back where it does not stay up. Without it, that is only told."""

    @model_validator(mode="before")
    @classmethod
    def _a_bare_command(cls, value: Any) -> Any:
        return {"command": value} if isinstance(value, str | list | tuple) else value


class Hooks(_Table):
    """The `[hooks]` table: commands of the user's at named places of a deploy."""

    after_build: Commands = ()
    """Once the release is built, and before its app is imported."""

    before_switch: Commands = ()
    """Once all workers are ready, and before the first user comes to them."""

    after_commit: Commands = ()
    """Once the release of a deploy or a restart is live for good; what fails here is a note."""

    after_rollback: Commands = ()
    """In the place of `after_commit` for `segue rollback`."""

    on_failure: Commands = ()
    """Once what failed has been taken back: in the release that serves, where one does."""

    timeout: SomeSeconds = 60.0
    """How long each command may take."""


class Static(_Table):
    """The `[static]` table: the app's static files, and what makes them."""

    url: FolderUrl = "/static/"
    """Where users find them. On a server nginx answers there, once `sudo segue setup` has seen to that."""

    folder: PlainFolder = Path("static")
    """Where they lie in a release once they are made; with Django, its STATIC_ROOT."""

    build: Commands = ()
    """Commands that make them, such as `["npm ci", "npm run build"]`. They run in the new release, as who
    builds it, without the app's environment on a server."""

    collect: CommandOrFalse | None = None
    """A command that makes them and needs the app: it runs after `build`, with the app's environment and as
    its user, and on a server can write to `folder` alone. `false` for none. Without it: Django's
    `collectstatic`, where there is a manage.py and `django.contrib.staticfiles` is installed."""

    timeout: SomeSeconds = 600.0
    """How long each command may take."""


class AppConfig(App):
    """How one app is deployed: `[app]`, with the keys of a target and the flags laid over it."""

    processes: dict[ProcessName, Process] = Field(default_factory=dict)
    """The `[processes]` table."""

    env: dict[EnvKey, EnvKind] = Field(default_factory=dict)
    """The `[env]` table."""

    hooks: Hooks = Hooks()
    """The `[hooks]` table."""

    static: Static | None = None
    """The `[static]` table."""


class Target(Settings):
    """A `[targets.NAME]` table: only the keys that it sets count, and they are laid over `[app]`."""

    host: SshHost | None = None
    """Where the target is, as ssh knows it: `"deploy@web1"`. Without it: this machine."""

    domain: Domain | None = None
    """The name that users reach the target by: `"shop.example"`. A target that has one is a server."""

    aliases: Annotated[tuple[Domain, ...], Strict(strict=False)] = ()
    """Further names that users reach it by."""

    certificate: FullPath | None = None
    """The TLS certificate with its chain. With it, http is redirected to https."""

    certificate_key: FullPath | None = None
    """The key of `certificate`."""

    acme_root: FullPath | None = None
    """The folder that an ACME client leaves its challenges in."""

    body_limit: Size = "10m"
    """The largest request body."""

    user: UnixName | None = None
    """The user that the app runs as. Without it: the app's name."""

    deploy_user: UnixName = "deploy"
    """The user that may ask for deploys, and that builds."""

    writable: Annotated[tuple[FullPath, ...], Strict(strict=False)] = ()
    """Folders that the app may write to, besides its `shared` one."""

    unconfined: Annotated[tuple[Confinement, ...], Strict(strict=False)] = ()
    """Parts of the sandbox that the app can't live with, such as `["MemoryDenyWriteExecute"]` for a JIT."""


class ConfigFile(_Table):
    """The whole of segue.toml, or of `[tool.segue]` in pyproject.toml."""

    app: App
    """The app, and how it is deployed."""

    processes: dict[ProcessName, Process] = Field(default_factory=dict)
    """On a server: what the app runs besides, by name: workers, a scheduler."""

    env: dict[EnvKey, EnvKind] = Field(default_factory=dict)
    """The keys that the app's environment has to have, and what each looks like: `DATABASE_URL = "url"`."""

    hooks: Hooks = Hooks()
    """Commands at named places of a deploy."""

    static: Static | None = None
    """The app's static files: kept for the pages of earlier releases, and on a server served by nginx."""

    targets: dict[Name, Target] = Field(default_factory=dict)
    """Where it is deployed, by name. `local` is always there."""
