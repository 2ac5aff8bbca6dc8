"""A picture of a server in a folder: files are real; accounts, owners, systemd and nginx are in memory."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from segue.config.schema import AppConfig, Target
from segue.core.errors import Refused
from segue.server.layout import Layout
from segue.server.machine import Account, Done, Front, Source
from segue.server.setup import Plan, carry_out, plan_setup
from segue.server.wanted import decided

SYSTEM = ["root", "www-data", "daemon"]
FOLDERS = [
    "etc/sudoers.d",
    "etc/systemd/system",
    "etc/tmpfiles.d",
    "opt",
    "run/systemd/system",
    "srv",
    "var/lib",
]


@dataclass
class Sites:
    """nginx's sites, by name."""

    texts: dict[str, str] = field(default_factory=dict)
    refusal: Refused | None = None
    unread: set[str] = field(default_factory=set)

    def read(self, site: str) -> str | None:
        return self.texts.get(site)

    def has_read(self, site: str) -> bool:
        return site not in self.unread

    def validate(self, site: str, text: str | None) -> None:
        if self.refusal is not None:
            raise self.refusal

    def put(self, site: str, text: str | None) -> None:
        self.validate(site, text)
        self.texts.pop(site, None)
        self.unread.discard(site)
        if text is not None:
            self.texts[site] = text


@dataclass
class Skeleton:
    """A segue of which nothing is there but its name."""

    name: str = "segue-0.1.0-0123456789ab"
    wrong: list[str] = field(default_factory=list)

    def obstacles(self) -> list[str]:
        return self.wrong

    def copy(self, folder: Path) -> None:
        (folder / "bin").mkdir(parents=True)
        (folder / "bin/python").symlink_to(sys.executable)


@dataclass
class Picture:
    """A server as it comes, in the folder `root`."""

    root: Path
    accounts: dict[str, Account] = field(default_factory=dict)
    front: Front = field(default_factory=Sites)
    source: Source = field(default_factory=Skeleton)
    ran: list[tuple[str, ...]] = field(default_factory=list)
    states: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    owners: dict[int, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for uid, name in enumerate(SYSTEM):
            self.has(name, uid=uid, shell="/bin/bash" if uid == 0 else "/usr/sbin/nologin")
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True)

    def has(
        self,
        name: str,
        *,
        uid: int,
        shell: str = "/bin/bash",
        groups: tuple[str, ...] = (),
        comment: str = "",
    ) -> None:
        """Let it have an account."""
        self.accounts[name] = Account(name, uid, name, frozenset({name, *groups}), shell, comment)

    def account(self, name: str) -> Account | None:
        return self.accounts.get(name)

    def has_group(self, name: str) -> bool:
        return name in self.accounts

    def owner(self, path: Path) -> tuple[str, str]:
        return self.owners.get(path.lstat().st_ino, ("root", "root"))

    def give(self, descriptor: int, owner: str, group: str) -> None:
        assert owner in self.accounts, f"there is no user {owner} yet"
        assert group in self.accounts, f"there is no group {group} yet"
        self.owners[os.fstat(descriptor).st_ino] = (owner, group)

    def run(self, *argv: str, text: str = "") -> Done:
        """Only what setup runs; each word is remembered."""
        self.ran.append(argv)
        match argv:
            case [program, *_] if program in self.missing:
                return Done(127, f"there is no {program}")
            case ["useradd", *options, "--", name]:
                comment = options[options.index("--comment") + 1]
                self.has(name, uid=999 if "--system" in options else 1000, comment=comment)
            case ["systemctl", "show", *_, unit]:
                return Done(
                    0, "".join(f"{key}={value}\n" for key, value in self.states.get(unit, {}).items())
                )
            case ["systemctl", "enable" | "start" as verb, unit]:
                change = {"enable": ("UnitFileState", "enabled"), "start": ("ActiveState", "active")}[verb]
                self.states.setdefault(unit, {}).update([change])
            case ["systemctl", "list-units", *_]:
                return Done(0, "".join(f"{unit} loaded active running\n" for unit in self.states))
            case ["systemctl", "disable", "--now", unit]:
                self.states.pop(unit, None)
        return Done(0, "")

    def layout(self, app: str = "shop") -> Layout:
        return Layout(app, self.root)

    def tree(self) -> dict[str, str]:
        """Every file, link and folder, with mode, owners and content."""
        return {
            str(path.relative_to(self.root)): f"{path.lstat().st_mode:o} {self.owner(path)} {_content(path)}"
            for path in sorted(self.root.rglob("*"))
        }


def _content(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def planned(server: Picture, app: str = "shop", **keys: Any) -> Plan:
    """What setup would do, with those keys in the target."""
    config, target = AppConfig(name=app), Target.model_validate({"domain": "shop.example"} | keys)
    return plan_setup(server, server.layout(app), decided("production", config, target), target)


def done(server: Picture, plan: Plan) -> list[str]:
    """What setup says that it did."""
    said: list[str] = []
    carry_out(server, plan, said.append)
    return said


def refused(server: Picture, app: str = "shop", **keys: Any) -> Refused:
    """Why it was refused; nothing was written."""
    before = server.tree()
    with pytest.raises(Refused) as caught:
        planned(server, app, **keys)
    assert server.tree() == before
    return caught.value


def fails_at(word: str, server: Picture) -> Any:
    """`server.run`, but commands with that word fail."""
    run = server.run
    return lambda *argv, text="": Done(1, "no bus") if word in argv else run(*argv, text=text)
