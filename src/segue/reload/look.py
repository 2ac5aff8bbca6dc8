"""Everything that there is to know of a service before anything is done: read, not guessed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segue.core.address import Address
from segue.core.errors import Refused, SegueError
from segue.core.secrets import Secrets
from segue.disk.processes import ProcessId
from segue.front.nginx import Nginx
from segue.reload.door import Door, find_door
from segue.reload.listening import Listener, listeners
from segue.reload.master import Command, Master, gunicorn_command, ids_of, is_shell, read_master
from segue.reload.others import SHOWN, refusal_of
from segue.reload.shadow import Way, read_settings
from segue.reload.unit import OF_SYSTEMD, Unit, confinement, not_lent, read_unit
from segue.server import systemd

_CONTROL_SOCKET = "gunicorn.ctl"
_DELETED = " (deleted)"
_ABSTRACT = "@"
# the other process is not given a folder in /run by systemd, and may use the service's
_LENT = frozenset(("PATH", "RUNTIME_DIRECTORY"))
_MOST_BEFORE = 4
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_OF_SHELLS = frozenset(("PWD", "OLDPWD", "SHLVL", "_"))


@dataclass(frozen=True)
class Service:
    """A service that runs.

    Attributes:
        unit: its unit.
        master: its main process.
        command: how its Gunicorn was started.
        workers: the master's children.
        listeners: where they accept.
        door: where users come in.
        environ: what a worker that is forked today would get; its values are secret.
    """

    unit: Unit
    master: Master
    command: Command
    workers: frozenset[ProcessId]
    listeners: frozenset[Listener]
    door: Door
    environ: Mapping[str, str] = field(repr=False)

    @property
    def addresses(self) -> list[Address]:
        """Where a client on this machine reaches it."""
        placed = _placed((each.address for each in self.listeners), self.master.cwd)
        return sorted((each.reachable for each in placed), key=str)

    def way(self, cwd: str | None = None) -> Way:
        """How a shadow of it is started; its worker is where the master is, or in `cwd`."""
        # Gunicorn's own `user` makes them others than the master's
        uid, gid = ids_of(min(self.workers, key=lambda worker: worker.started).pid)
        return Way(
            command=self.command,
            environ=self.lent(),
            # $PWD is how Gunicorn learns of a link in the path; it counts where it leads to the same folder
            folder=self.environ.get("PWD", self.master.cwd),
            cwd=self.master.cwd if cwd is None else cwd,
            confinement=confinement(self.unit),
            uid=uid,
            gid=gid,
        )

    def lent(self) -> Mapping[str, str]:
        """The environment but for systemd's own words, of which the other process has its own."""
        own = OF_SYSTEMD - _LENT - set(self.unit.environment())
        return {name: value for name, value in self.environ.items() if name not in own}


@dataclass(frozen=True)
class Looked:
    """A service, and what Gunicorn would make of its settings today.

    Attributes:
        service: the service.
        settings: as Gunicorn itself reads them, in the service's interpreter.
        changed_env: the names in its environment that are other ones today.
        wanted: the folder that the unit would be started in today.
    """

    service: Service
    settings: Mapping[str, Any] = field(repr=False)
    changed_env: tuple[str, ...]
    wanted: str


def look_at(name: str, nginx: Nginx) -> Looked:
    """The service `name`.

    Raises:
        Refused: it does not run, or can't be reloaded as it is.
        Failed: Gunicorn can't read its settings.
    """
    service = _service(name, nginx)
    changed = changed_names(service)
    wanted = os.path.realpath(service.unit.folder) if service.unit.folder else service.master.cwd
    demand_a_folder(service)
    demand_no_credentials(service)
    return Looked(service, settings_of(service, service.way()), changed, wanted)


def settings_of(service: Service, way: Way) -> Mapping[str, Any]:
    """The settings of a shadow that is started so.

    Raises:
        Failed: Gunicorn can't read them; without the service's secrets.
    """
    try:
        return read_settings(way)
    except SegueError as error:
        raise Secrets(service.environ).hide_in_error(error) from None


def _service(name: str, nginx: Nginx) -> Service:
    unit = read_unit(name)
    if unit.told["RootDirectory"] or unit.told["RootImage"]:
        raise Refused("unit", f"{unit.name} has a root folder of its own, in which segue can't try its code.")
    master = read_master(unit.main_pid, unit.argv)
    command = gunicorn_command(master.argv)
    if is_shell(master.argv):
        raise Refused(
            "shell",
            f"The main process of {unit.name} is a shell, and the server a child of it.",
            evidence=f"pid {master.pid}: {' '.join(master.argv[:SHOWN])}",
            hint="end its script with `exec gunicorn …`, and restart it once: a shell passes no signals on",
        )
    if command is None:
        raise refusal_of(unit.name, master.argv)
    found = frozenset(
        each for each in listeners(master.pid) if not each.address.path.endswith(_CONTROL_SOCKET)
    )
    if not found or not master.workers():
        raise Refused(
            "listener", f"{unit.name} listens nowhere, or has no workers.", evidence=f"pid {master.pid}"
        )
    door = find_door(_placed((each.address for each in found), master.cwd), nginx)
    environ = _environ(unit, master)
    return Service(unit, master, command, master.workers(), found, door, environ)


def _placed(addresses: Iterable[Address], cwd: str) -> frozenset[Address]:
    """Where clients find them: the kernel knows a socket by the name that the master in `cwd` gave it.

    Raises:
        Refused: one has no place among the files, and no server but its own leads there.
    """
    found = list(addresses)
    if abstract := [str(each) for each in found if each.path.startswith(_ABSTRACT)]:
        raise Refused(
            "listener",
            "The service listens on an abstract socket, which segue can't ask.",
            evidence=abstract[0],
            hint="bind it to a path, such as `--bind unix:/run/shop/shop.sock`, and restart it once",
        )
    return frozenset(
        replace(each, path=os.path.join(cwd, each.path)) if each.path else each for each in found
    )


def _environ(unit: Unit, master: Master) -> Mapping[str, str]:
    """The environment of the master; where a process title lies over it, that of the unit."""
    if master.environ is not None:
        return master.environ
    files = (*unit.files, *(Path(path) for path, _ in unit.env_files))
    newer = [str(file) for file in files if file.exists() and file.stat().st_ctime > master.since()]
    if newer:
        raise Refused(
            "env",
            "What the service was started with can't be seen: its process title lies over it.",
            evidence=f"{newer[0]} was changed since pid {master.pid} began",
            hint=f"`systemctl restart {unit.name}` applies it; after that `segue reload` works",
        )
    return {"PATH": os.environ.get("PATH", os.defpath), **unit.environment()}


def changed_names(service: Service) -> tuple[str, ...]:
    """The names that the environment would have today with other values, or not have any more."""
    today, now = service.unit.environment(), service.environ
    different = {name for name, value in today.items() if now.get(name) != value}
    if _has_wrapper(service):  # what more there is may be its doing
        return tuple(sorted(different))
    more = set(now) - set(today) - OF_SYSTEMD - _OF_SHELLS - systemd.names_for_all()
    return tuple(sorted(different | more))


def _has_wrapper(service: Service) -> bool:
    """Whether what systemd started has become another program meanwhile."""
    # of a script the kernel puts the interpreter, and its flags, before
    names = [Path(word).name for word in service.master.argv[:_MOST_BEFORE]]
    return bool(service.unit.argv) and Path(service.unit.argv[0]).name not in names


def demand_a_folder(service: Service) -> None:
    """Refuse a master that is in a folder which is gone.

    Raises:
        Refused: so it is.
    """
    if service.master.cwd.endswith(_DELETED):
        raise Refused(
            "stale",
            "The service runs in a folder that is gone, and a new worker would look for its code there.",
            evidence=f"pid {service.master.pid} is in {service.master.cwd}",
            hint=f"`systemctl restart {service.unit.name}`, and keep the release that runs",
        )


def demand_no_credentials(service: Service) -> None:
    """Refuse a service that systemd has given credentials: `systemctl show` does not tell which.

    Raises:
        Refused: so it is.
    """
    if folder := service.environ.get(_CREDENTIALS):
        raise not_lent(service.unit.name, f"LoadCredential= or SetCredential=, in {folder}")
