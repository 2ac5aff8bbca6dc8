"""Whether a server is fit to be set up for an app: what setup can't mend, said all at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from segue.disk.lock import is_held
from segue.server.installation import runs_here
from segue.server.installed import Installed, find_installed, installed_apps
from segue.server.layout import Layout
from segue.server.machine import Account, Machine
from segue.server.origin import interpreter, is_roots
from segue.server.units import FRONT_GROUP

_FIRST_PERSON = 1000
_NOBODY = 65534
_NO_LOGIN = ("nologin", "false")
_POWERFUL = {"root", "sudo", "wheel", "docker", "lxd", "disk", "shadow", FRONT_GROUP}
_PROGRAMS = {
    "nginx": ("nginx", "-v"),
    "sudo": ("visudo", "-V"),
    "passwd": ("useradd", "--help"),
}  # Debian's package -> how to see whether it is there


def unfit(machine: Machine, layout: Layout, installed: Installed, *, user_named: bool) -> list[str]:
    """Why the server can't be set up so, for people.

    Args:
        machine: the server.
        layout: the app's.
        installed: what is asked for.
        user_named: whether the config names the app's user, so that an account of the system may be meant.
    """
    return [
        *_lacks(machine, layout),
        *_wrong_users(machine, layout, installed, user_named),
        *_missing_files(layout, installed),
        *_wrong_writable(layout, installed),
        *_strangers(layout),
        *([f"{layout.app} is being deployed"] if is_held(layout.lock) else []),
    ]


def comment(app: str) -> str:
    """What the user database says of the user that setup made for `app`."""
    return f"segue app {app}"


def _lacks(machine: Machine, layout: Layout) -> Iterator[str]:
    if not (layout.root / "run/systemd/system").is_dir():
        yield "systemd does not run here"
    if runs_here(layout) and not is_roots(layout.opt):
        yield f"{layout.opt} has something above it that others than root may change, and root runs it"
    if runs_here(layout) and not is_roots(interpreter()):
        yield f"{layout.opt} runs on {interpreter()}, which apps can't read, or others than root may change"
    for package, argv in _PROGRAMS.items():
        if machine.run(*argv).code != 0:
            yield f"there is no {argv[0]}: apt install {package}"
    if not machine.has_group(FRONT_GROUP):
        yield f"there is no group {FRONT_GROUP}, which nginx's workers should be in"


def _wrong_users(machine: Machine, layout: Layout, installed: Installed, user_named: bool) -> Iterator[str]:
    user, deploy = installed.user, installed.deploy_user
    if user == deploy:
        yield f"{user} can't both run the app and deploy it: it could change its own code"
    if deploy == "root" or ((asker := machine.account(deploy)) is not None and asker.uid == 0):
        yield f"deploy_user {deploy} is root, who would build the app: choose another"
    for other in _others(layout):
        if user in (other.user, other.deploy_user):
            yield f"user {user} is the app {other.app}'s already"
        if deploy == other.user:
            yield f"deploy_user {deploy} is the app {other.app}'s user"
    before = find_installed(layout)
    if before is not None and before.user != user:
        yield f"the app runs as {before.user}; for another user take it away first, with --remove"
    account = machine.account(user)
    if account is not None and (before is None or before.user != user):
        yield from _wrong_account(account, layout.app, user_named)


def _wrong_account(account: Account, app: str, user_named: bool) -> Iterator[str]:
    if account.comment.partition(",")[0] == comment(app):
        return
    if account.uid == 0:
        yield f"user {account.name} is root, which nothing of an app's may run as"
    elif account.uid == _NOBODY:
        yield f"user {account.name} is everybody's"
    elif account.uid >= _FIRST_PERSON and Path(account.shell).name not in _NO_LOGIN:
        yield f"user {account.name} can log in (uid {account.uid}, {account.shell}), and is no app's"
    elif powers := sorted(account.groups & _POWERFUL):
        yield f"user {account.name} is in the group {powers[0]}, which an app should not be in"
    elif not user_named:
        yield f'there is a user {account.name} already: if it is meant, set user = "{account.name}"'


def _others(layout: Layout) -> list[Installed]:
    return [one for one in installed_apps(layout) if one.app != layout.app]


def _missing_files(layout: Layout, installed: Installed) -> Iterator[str]:
    for key in ("certificate", "certificate_key"):
        path = getattr(installed, key)
        if path is not None and not _inside(layout, path).is_file():
            yield f"{key}: there is no file {path}"


def _wrong_writable(layout: Layout, installed: Installed) -> Iterator[str]:
    own = (layout.opt, layout.home, layout.states, layout.runs, layout.root / "etc", layout.root / "boot")
    for text in installed.writable:
        path = _inside(layout, text)
        if not path.is_dir():
            yield f"writable: there is no folder {text}"
        elif clash := [one for one in own if path.is_relative_to(one) or one.is_relative_to(path)]:
            yield f"writable: {text} would open {clash[0]} to the app"


def _inside(layout: Layout, path: str) -> Path:
    return layout.root / path.lstrip("/")


def _strangers(layout: Layout) -> Iterator[str]:
    """What is in the app's folder and was never segue's."""
    known = {layout.releases.name, layout.shared.name, layout.current.name}
    if layout.home.is_dir() and (found := sorted({*os.listdir(layout.home)} - known)):
        yield f"{layout.home} has something in it that is not segue's: {found[0]}"
