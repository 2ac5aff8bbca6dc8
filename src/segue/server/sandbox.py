"""Who the app runs as, and what it may not do: one list for its unit, its import check and its commands."""

from __future__ import annotations

import pwd
from collections.abc import Iterable
from pathlib import Path

from segue.server.installed import Installed
from segue.server.layout import Layout

Directive = tuple[str, str]

_SANDBOX: tuple[Directive, ...] = (
    ("ProtectSystem", "strict"),
    # strict alone leaves /run writable beside some of what follows: one generation unlinked another's socket
    ("ReadOnlyPaths", "/run"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("NoNewPrivileges", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectHostname", "yes"),
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("SystemCallFilter", "@system-service"),
    # a forbidden call is an error that the app can report, not the end of a worker
    ("SystemCallErrorNumber", "EPERM"),
    ("SystemCallArchitectures", "native"),
    ("CapabilityBoundingSet", ""),
    ("RemoveIPC", "yes"),
)


# what a directive takes out of sight, of the whole system (systemd.exec(5))
_HIDDEN = {"ProtectHome": ("/home", "/root", "/run/user"), "PrivateTmp": ("/tmp", "/var/tmp")}  # noqa: S108


def hidden_folders(installed: Installed) -> tuple[str, ...]:
    """The folders that the app's processes do not see."""
    kept = (folders for name, folders in _HIDDEN.items() if name not in installed.unconfined)
    return tuple(folder for folders in kept for folder in folders)


def confinement(layout: Layout, installed: Installed, generation: str) -> list[Directive]:
    """The identity, environment and sandbox of what runs for `generation`; ``%i`` in a template unit."""
    return _confined(layout, installed, layout.generations / generation, f"-{layout.run / generation}")


def task_confinement(layout: Layout, installed: Installed, folder: Path) -> list[Directive]:
    """The same for a task of the app's user, which may write to `folder`."""
    return _confined(layout, installed, folder)


def lent(installed: Installed, folder: Path) -> list[Directive]:
    """What lets a task write to `folder` besides: the deploy user's group has it, and so does this task."""
    group = pwd.getpwnam(installed.deploy_user).pw_gid
    return [("SupplementaryGroups", str(group)), *_writable([folder])]


def process_confinement(layout: Layout, installed: Installed) -> list[Directive]:
    """The same for a process of the app's beside those that serve."""
    return _confined(layout, installed)


def _confined(layout: Layout, installed: Installed, *own: str | Path) -> list[Directive]:
    identity = [
        ("User", installed.user),
        ("EnvironmentFile", str(layout.env_file)),
        # a server that binds its own socket shares it with its folder's group, which is nginx's
        ("UMask", "0007"),
    ]
    kept = [directive for directive in _SANDBOX if directive[0] not in installed.unconfined]
    return identity + kept + _writable([*own, layout.shared, *installed.writable])


def _writable(paths: Iterable[str | Path]) -> list[Directive]:
    return [("ReadWritePaths", str(path)) for path in paths]


def as_lines(directives: Iterable[Directive]) -> str:
    """`directives` as the lines of a unit."""
    return "".join(f"{name}={value}\n" for name, value in directives)


def as_words(directives: Iterable[Directive]) -> tuple[str, ...]:
    """`directives` as words of ``systemd-run``."""
    return tuple(word for name, value in directives for word in ("-p", f"{name}={value}"))
