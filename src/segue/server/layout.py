"""The layout of a server: the one place that knows which file lies where, and what a unit is called."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segue.core.errors import Refused, UsageError
from segue.core.ids import is_generation_id, is_release_id

_APP = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)
_PROCESS = re.compile(r"[a-z][a-z0-9_-]{0,30}", re.ASCII)
_REQUEST = re.compile(r"[0-9a-f]{32}", re.ASCII)
_DEPLOYS = "-deploy"
_PROCESSES = "-process"
_LONGEST_SOCKET_PATH = 107  # bytes; the kernel's limit, less the zero at the end


def check_app_name(app: str) -> None:
    """Refuse a name that can't be part of unit names, user names and paths as it is.

    Raises:
        UsageError: it can't.
    """
    if _APP.fullmatch(app) is None:
        reason = "on a server it is 1 to 31 small letters, digits and dashes, and begins with a letter"
    elif app.endswith((_DEPLOYS, _PROCESSES)):
        reason = f"it ends in {_DEPLOYS!r} or {_PROCESSES!r}, as units of another app do"
    else:
        return
    raise UsageError(
        "app_name",
        f"{app!r} can't be an app's name on a server.",
        evidence=reason,
        hint="give it another `name` in [app] of segue.toml",
    )


@dataclass(frozen=True)
class Layout:
    """Where everything of one app's lies.

    Attributes:
        app: the app's name.
        root: what all paths begin with; another than ``/`` is a picture of a server, for tests.

    Raises:
        UsageError: `app` can't be an app's name on a server.
    """

    app: str
    root: Path = Path("/")

    def __post_init__(self) -> None:
        check_app_name(self.app)

    # segue itself, shared by all apps of the server

    @property
    def opt(self) -> Path:
        """The virtual environment that segue is installed in."""
        return self.root / "opt/segue"

    @property
    def python(self) -> Path:
        """The interpreter of all that runs as root."""
        return self.opt / "bin/python"

    @property
    def code(self) -> Path:
        """A link to segue's package, whichever Python it is installed for: units name it."""
        return self.opt / "segue"

    @property
    def exec(self) -> Path:
        """The one command that sudo allows."""
        return self.opt / "bin/segue-exec"

    @property
    def sudoers(self) -> Path:
        """Who may ask for deploys."""
        return self.root / "etc/sudoers.d/segue"

    @property
    def states(self) -> Path:
        """The folder with the `state` of every app."""
        return self.root / "var/lib/segue"

    # what people look at: code, data, environment

    @property
    def home(self) -> Path:
        """The folder of code and data."""
        return self.root / "srv" / self.app

    @property
    def releases(self) -> Path:
        """The folder of releases; the deploy user's."""
        return self.home / "releases"

    @property
    def shared(self) -> Path:
        """The app's data; the app user's."""
        return self.home / "shared"

    @property
    def current(self) -> Path:
        """A link to the live release, for people; nothing of segue's runs through it."""
        return self.home / "current"

    def release(self, release: str) -> Path:
        """The folder of `release`."""
        return self.releases / _checked(release, is_release_id)

    @property
    def env_file(self) -> Path:
        """The app's environment."""
        return self.root / "etc" / f"{self.app}.env"

    # what segue remembers

    @property
    def state(self) -> Path:
        """The folder of all that segue remembers of the app."""
        return self.states / self.app

    @property
    def installed(self) -> Path:
        """What `segue setup` decided."""
        return self.state / "target.json"

    @property
    def config(self) -> Path:
        """The config of the last deploy: a `systemctl reload` goes by it."""
        return self.state / "config.json"

    @property
    def record(self) -> Path:
        """The record."""
        return self.state / "record.json"

    @property
    def lock(self) -> Path:
        """The deploy lock."""
        return self.state / "lock"

    @property
    def events(self) -> Path:
        """The event log, JSON lines."""
        return self.state / "events.jsonl"

    @property
    def receipts(self) -> Path:
        """The folder of receipts."""
        return self.state / "receipts"

    def receipt(self, generation: str) -> Path:
        """The receipt of the deploy of `generation`."""
        return self.receipts / f"{_checked(generation, is_generation_id)}.json"

    @property
    def release_states(self) -> Path:
        """The folder of the states of releases."""
        return self.state / "releases"

    def release_state(self, release: str) -> Path:
        """The file that says in which state `release` is."""
        return self.release_states / f"{_checked(release, is_release_id)}.json"

    @property
    def generations(self) -> Path:
        """The folder of generations."""
        return self.state / "generations"

    def generation(self, generation: str) -> Path:
        """The folder of `generation`: its start and its gate's files."""
        return self.generations / _checked(generation, is_generation_id)

    @property
    def tasks(self) -> Path:
        """The folder of what the app's user runs beside the app; on the disk, where its sandbox sees it."""
        return self.state / "tasks"

    @property
    def requests(self) -> Path:
        """The folder of what was asked for; root's alone."""
        return self.state / "requests"

    def request(self, request: str) -> Path:
        """What was asked for in `request`."""
        return self.requests / f"{_checked(request, is_request_id)}.json"

    def request_events(self, request: str) -> Path:
        """How `request` goes, JSON lines."""
        return self.requests / f"{_checked(request, is_request_id)}.jsonl"

    # sockets; gone after a reboot

    @property
    def runs(self) -> Path:
        """The folder with the `run` of every app."""
        return self.root / "run/segue"

    @property
    def run(self) -> Path:
        """The folder of the app's sockets."""
        return self.runs / self.app

    @property
    def front(self) -> Path:
        """The folder of the link that nginx knows; made at boot, by tmpfiles."""
        return self.run / "front"

    @property
    def live_socket(self) -> Path:
        """The link to the socket of the generation that users reach."""
        return self.front / "live.sock"

    def socket_folder(self, generation: str) -> Path:
        """The folder of the socket of `generation`."""
        return self.run / _checked(generation, is_generation_id)

    def socket_path(self, generation: str) -> Path:
        """The socket of `generation`.

        Raises:
            Refused: the path is longer than a socket's may be.
        """
        path = self.socket_folder(generation) / "http.sock"
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            raise Refused(
                "socket_path",
                f"The socket of {generation} would have too long a path.",
                evidence=f"{path} has {len(os.fsencode(path))} bytes; {_LONGEST_SOCKET_PATH} are allowed",
                hint="give the app a shorter name",
            )
        return path

    @property
    def static_link(self) -> Path:
        """The link to the live release's static files, which nginx serves."""
        return self.front / "static"

    # systemd, tmpfiles, nginx

    @property
    def units(self) -> Path:
        """The folder of systemd's units."""
        return self.root / "etc/systemd/system"

    @property
    def service_template(self) -> str:
        """The unit whose instances are generations."""
        return f"segue-{self.app}@.service"

    @property
    def socket_template(self) -> str:
        """The unit whose instances are the sockets of generations."""
        return f"segue-{self.app}@.socket"

    @property
    def deploy_template(self) -> str:
        """The unit whose instances are deploys."""
        return f"segue-{self.app}{_DEPLOYS}@.service"

    @property
    def keeper_unit(self) -> str:
        """The unit that keeps the live generation serving."""
        return f"segue-{self.app}.service"

    def service(self, generation: str) -> str:
        """The unit of `generation`."""
        return f"segue-{self.app}@{_checked(generation, is_generation_id)}.service"

    def socket(self, generation: str) -> str:
        """The unit of the socket of `generation`."""
        return f"segue-{self.app}@{_checked(generation, is_generation_id)}.socket"

    def deploy_unit(self, request: str) -> str:
        """The unit of the deploy that `request` asked for."""
        return f"segue-{self.app}{_DEPLOYS}@{_checked(request, is_request_id)}.service"

    @property
    def process_units(self) -> str:
        """A pattern for the units of all processes beside those that serve."""
        return f"segue-{self.app}{_PROCESSES}@*.service"

    def process_unit(self, generation: str, name: str) -> str:
        """The unit of the process `name` of `generation`."""
        instance = f"{_checked(generation, is_generation_id)}:{_checked(name, is_process_name)}"
        return self.process_units.replace("*", instance)

    def process_of(self, unit: str) -> tuple[str, str]:
        """The generation and the name of the process whose unit is `unit`."""
        generation, _, name = unit.partition("@")[2].removesuffix(".service").partition(":")
        return generation, name

    @property
    def tmpfiles(self) -> Path:
        """What makes `front` at boot."""
        return self.root / "etc/tmpfiles.d" / f"segue-{self.app}.conf"

    @property
    def site(self) -> Path:
        """The app's site for nginx."""
        return self.root / "etc/nginx/sites-available" / f"segue-{self.app}"

    @property
    def site_link(self) -> Path:
        """The link that turns the site on."""
        return self.root / "etc/nginx/sites-enabled" / f"segue-{self.app}"

    @property
    def access_log(self) -> Path:
        """What nginx says of every request to the app."""
        return self.root / "var/log/nginx" / f"segue-{self.app}.access.log"


def is_request_id(text: str) -> bool:
    """Whether `text` has the form of a request's id."""
    return _REQUEST.fullmatch(text) is not None


def is_process_name(text: str) -> bool:
    """Whether `text` has the form of a process's name."""
    return _PROCESS.fullmatch(text) is not None


def _checked(name: str, is_one: Callable[[str], bool]) -> str:
    """`name`, which is to become part of a path or of a unit's name.

    Raises:
        ValueError: it doesn't have the form that `is_one` wants.
    """
    if not is_one(name):
        raise ValueError(f"{name!r} can't be part of a path")
    return name
