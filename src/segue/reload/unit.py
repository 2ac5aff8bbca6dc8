"""The unit, as systemd knows it: what its process was started with, and would be started with today."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segue.config.env_file import read_as_systemd
from segue.core.errors import Refused
from segue.server import systemd

_NAME = re.compile(r"[\w:.@\\-]+\.service", re.ASCII)
_PLAIN = (
    *("Id", "LoadState", "ActiveState", "MainPID", "Type", "NRestarts", "User", "WorkingDirectory"),
    *("FragmentPath", "DropInPaths", "NeedDaemonReload", "MemoryMax", "MemoryCurrent", "ControlGroup"),
    *("RootDirectory", "RootImage", "Environment", "ExecStart"),
)
_ARGV = re.compile(r"argv\[\]=(.*?) ; ")
_ENVIRONMENT_FILE = re.compile(r"(.*) \(ignore_errors=(yes|no)\)")
# what decides who a process is, what it may do and how much it may have: systemd.exec(5)
_CONFINEMENT = (
    *("User", "Group", "SupplementaryGroups", "UMask", "Nice", "OOMScoreAdjust", "Slice"),
    *("ProtectSystem", "ProtectHome", "ProtectProc", "ProcSubset", "ProtectClock", "ProtectHostname"),
    *("ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups"),
    *("PrivateTmp", "PrivateDevices", "PrivateUsers", "NoNewPrivileges", "LockPersonality", "RemoveIPC"),
    *("RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "RestrictAddressFamilies"),
    *("MemoryDenyWriteExecute", "SystemCallFilter", "SystemCallErrorNumber", "SystemCallArchitectures"),
    *("CapabilityBoundingSet", "AmbientCapabilities", "SecureBits", "KeyringMode"),
    *("ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths"),
    *("BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem"),
    *("StateDirectory", "CacheDirectory", "LogsDirectory", "ConfigurationDirectory"),
    *("LimitNOFILE", "LimitNPROC", "LimitAS", "LimitMEMLOCK", "LimitSTACK", "LimitCORE"),
    *("MemoryMax", "MemoryHigh", "TasksMax", "DevicePolicy"),
    *("PrivateNetwork", "IPAddressAllow", "IPAddressDeny"),
)
# of the same kind, but nobody has seen that systemd-run takes it as it is shown
_NOT_LENT = "AppArmorProfile"
# as `systemctl show` quotes words: shell_maybe_quote() of systemd's
_WORD = re.compile(r'"((?:\\.|[^"\\])*)"|(\S+)')
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_CONTROL = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_NOBODY_HAS_IT = "segue-has-no-such-unit.service"
# systemd's own words to a process, which another process has other ones of
OF_SYSTEMD = frozenset(
    (
        *("INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "NOTIFY_SOCKET", "MANAGERPID"),
        *("PIDFILE", "TRIGGER_UNIT", "TRIGGER_PATH"),
        *("TRIGGER_TIMER_REALTIME_USEC", "TRIGGER_TIMER_MONOTONIC_USEC"),
        *("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC"),
        *("CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY"),
        *("LOGS_DIRECTORY", "CONFIGURATION_DIRECTORY", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE"),
        *("USER", "LOGNAME", "HOME", "SHELL", "PATH", "LANG", "TERM", "REMOTE_ADDR", "REMOTE_PORT"),
    )
)


@dataclass(frozen=True)
class Unit:
    """A service.

    Attributes:
        name: with its ``.service``.
        told: its properties.
        env_files: the files of its environment, with whether they may be missing.
    """

    name: str
    told: Mapping[str, str] = field(repr=False)
    env_files: tuple[tuple[str, bool], ...]

    @property
    def main_pid(self) -> int:
        """Its main process; 0 of none."""
        return int(self.told["MainPID"])

    @property
    def argv(self) -> tuple[str, ...]:
        """What it would be started as today; words with blanks in them come apart."""
        found = _ARGV.search(self.told["ExecStart"])
        return tuple(found[1].split()) if found else ()

    @property
    def folder(self) -> str:
        """Where it would be started today, links as they are written; empty where the unit says nothing."""
        return self.told["WorkingDirectory"].lstrip("!-")

    @property
    def files(self) -> tuple[Path, ...]:
        """The unit's own file, and those over it."""
        return tuple(map(Path, (self.told["FragmentPath"], *self.told["DropInPaths"].split())))

    def environment(self) -> dict[str, str]:
        """What systemd would put into its environment today, beside its own words.

        Raises:
            Refused: it could not read the files, and would not start the service.
        """
        values = dict(word.partition("=")[::2] for word in _words(self.told["Environment"]))
        for path, may_miss in self.env_files:
            values.update(_read(path, may_miss=may_miss))
        return values


def read_unit(name: str) -> Unit:
    """The unit of that name.

    Raises:
        Refused: there is none, or it does not run.
    """
    name = name if name.endswith(".service") else f"{name}.service"
    if not _NAME.fullmatch(name):
        raise Refused(
            "unit", f"{name!r} is no name of a service.", hint="`systemctl list-units --type=service`"
        )
    told = systemd.show(name, *_PLAIN)
    if told["LoadState"] != "loaded":
        raise Refused(
            "unit", f"There is no unit {name}.", hint="`systemctl list-units --type=service` has all of them"
        )
    if told["ActiveState"] != "active":
        raise Refused(
            "not_running",
            f"{name} does not run: it is {told['ActiveState']}.",
            hint=f"`systemctl start {name}`; `journalctl -u {name}` says why it does not run",
        )
    lines = systemd.lines(name, "EnvironmentFiles")
    found = (_ENVIRONMENT_FILE.fullmatch(line) for line in lines)
    return Unit(told["Id"], told, tuple((match[1], match[2] == "yes") for match in found if match))


def confinement(unit: Unit) -> tuple[str, ...]:
    """The words of ``systemd-run`` that make another process what the unit's own are.

    Raises:
        Refused: no other process can be made so.
    """
    names = (*_CONFINEMENT, _NOT_LENT)
    plain, own = systemd.show(_NOBODY_HAS_IT, *names), systemd.show(unit.name, *names)
    different = [name for name in names if own.get(name) != plain.get(name)]
    if _NOT_LENT in different:
        raise not_lent(unit.name, f"{_NOT_LENT}={own.get(_NOT_LENT, '')}")
    # systemd would take the service's own folder in /run away with the other process: writing there is enough
    runtime = systemd.show(unit.name, "RuntimeDirectory")["RuntimeDirectory"].split()
    values = [f"{name}={own.get(name, '')}" for name in different]
    values += [f"ReadWritePaths=-/run/{one}" for one in runtime]
    return tuple(word for value in values for word in ("-p", value))


def not_lent(name: str, what: str) -> Refused:
    """That the unit of that name has something which no other process is given: `what`."""
    return Refused(
        "unit",
        f"{name} has something that segue can't give to the new code when it is tried.",
        evidence=what,
        hint=f"`systemctl restart {name}` applies new code, and is felt",
    )


def _words(text: str) -> Iterator[str]:
    return (_ESCAPE.sub(_plain, quoted) if quoted else plain for quoted, plain in _WORD.findall(text))


def _plain(escape: re.Match[str]) -> str:
    word = escape[1]
    return chr(int(word, 8)) if len(word) > 1 else _CONTROL.get(word, word)


def _read(path: str, *, may_miss: bool) -> dict[str, str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        if may_miss and isinstance(error, FileNotFoundError):
            return {}
        why = os.strerror(error.errno or 0).lower()
        raise Refused(
            "env", f"systemd could not read {path}.", evidence=why, hint="mend it, or a restart fails"
        ) from None
    except UnicodeDecodeError:
        raise Refused(
            "env", f"systemd would not read {path}: it is not UTF-8.", hint="mend it, or a restart fails"
        ) from None
    return read_as_systemd(text, systemd.version())
