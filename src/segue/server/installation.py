"""The server's own segue: one for all of its apps, root's, a copy of the one that runs setup.

``/opt/segue`` is a link to a folder named by version and content, so that another version takes its place in
one step; the units of all apps go on naming the link.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from segue.disk.atomic import sync_folder
from segue.disk.lock import is_held
from segue.server import origin, units
from segue.server.installed import installed_apps
from segue.server.layout import Layout
from segue.server.machine import Machine, demand
from segue.server.parts import Change, File, Link, Part

_NAME = re.compile(r"segue-(\d[0-9A-Za-z.+-]*)-[0-9a-f]{12}")


@dataclass(frozen=True)
class Installation:
    """The segue of a server, as it should be: this one.

    Attributes:
        layout: of any of its apps.
    """

    layout: Layout

    def change(self, machine: Machine) -> Change | None:
        """Another version, or none at all, is there."""
        there, wanted = installed_name(self.layout), machine.source.name
        if there == wanted:
            return None
        sign = "+" if there is None else "~"
        was = f", was {there}" if there else ""
        return Change(f"{sign} {self.layout.opt} -> {wanted}, a copy of this segue{was}")

    def obstacles(self, machine: Machine) -> list[str]:
        """Something else is called so, a newer version is there, or a deploy under way needs the old one."""
        if self.change(machine) is None:
            return []
        there = installed_name(self.layout)
        if there is None:
            found = os.path.lexists(self.layout.opt)
            strange = [f"{self.layout.opt} is there, and setup did not make it"] if found else []
            return strange + machine.source.obstacles()
        if _version(there) > _version(machine.source.name):
            return [f"the server has {there}, which is newer than this segue"]
        return [f"{one.app} is being deployed" for one in _apps(self.layout) if is_held(one.lock)]

    def make(self, machine: Machine) -> None:
        """Put the copy beside the old one, let the link name it, and restart what runs the old one."""
        before, folder = installed_name(self.layout), self.layout.opt.with_name(machine.source.name)
        if not folder.is_dir():
            _copy_to(folder, self.layout, machine)
        # before the link, for with that all is done: nobody would come for what a cut had left
        _drop_others(self.layout, {before, folder.name})
        Link(self.layout.opt, folder.name).make(machine)
        if before not in (None, folder.name):
            for one in _apps(self.layout):
                demand(machine, "systemctl", "try-restart", one.keeper_unit)


def runs_here(layout: Layout) -> bool:
    """Whether the segue that runs is the server's own, put there by hand."""
    return Path(sys.prefix) == layout.opt and installed_name(layout) is None


def installed_name(layout: Layout) -> str | None:
    """The folder of the server's segue, named by version and content; None where setup made none."""
    try:
        name = os.readlink(layout.opt)
    except OSError:
        return None
    return name if _NAME.fullmatch(name) and (layout.opt / "bin/python").exists() else None


def wanted(layout: Layout) -> list[Part]:
    """The server's segue, and what units and sudo name of it: one put there by hand has not got that."""
    if not runs_here(layout):
        return [Installation(layout)]
    code = os.path.relpath(origin.package(), layout.opt.resolve())
    return [File(layout.exec, units.exec_script(layout), mode=0o755), Link(layout.code, code)]


@dataclass(frozen=True)
class NoInstallation:
    """No segue on the server, where none of its apps is left that needs it.

    Attributes:
        layout: of the last app, or of one that is left.
    """

    layout: Layout

    def change(self, machine: Machine) -> Change | None:
        """The copy that setup made; one that somebody put there by hand stays."""
        del machine
        name = installed_name(self.layout)
        return None if name is None else Change(f"- {self.layout.opt} -> {name}")

    def obstacles(self, machine: Machine) -> list[str]:
        """Nothing is in its way."""
        del machine
        return []

    def make(self, machine: Machine) -> None:
        """Take away what `Installation` made."""
        del machine
        self.layout.opt.unlink()
        _drop_others(self.layout, set())


def _version(name: str) -> tuple[int, ...]:
    match = _NAME.fullmatch(name)
    return tuple(int(number) for number in re.findall(r"\d+", match[1] if match else ""))


def _apps(layout: Layout) -> list[Layout]:
    return [Layout(installed.app, layout.root) for installed in installed_apps(layout)]


def _copy_to(folder: Path, layout: Layout, machine: Machine) -> None:
    """Make `folder` a virtual environment with this segue; it has its name only when it is whole."""
    new = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        machine.source.copy(new)
        _write(new / "bin/segue", units.cli_script(layout))
        _write(new / "bin" / layout.exec.name, units.exec_script(layout))
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    sync_folder(folder.parent)


def _write(script: Path, text: str) -> None:
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)


def _drop_others(layout: Layout, kept: set[str | None]) -> None:
    """Remove versions that nothing runs any more, and what a cut left half-made.

    The one before is kept: it may still be at work in a process.
    """
    for path in (*layout.opt.parent.glob("segue-*"), *layout.opt.parent.glob(".segue-*")):
        if _NAME.match(path.name.removeprefix(".")) and path.name not in kept:
            shutil.rmtree(path)
