"""A server as an app's config wants it, in the order in which it is made: a cut leaves nothing harmful.

Who may ask for deploys comes last, and before that the site: until then nobody can meet what is half done.
"""

from __future__ import annotations

import math
from pathlib import Path

from segue import __version__
from segue.config.schema import AppConfig, Target
from segue.core.errors import UsageError
from segue.front.site import Doors, StaticPlace, render_site
from segue.server import installation, units
from segue.server.fitness import comment
from segue.server.installed import Installed, installed_apps
from segue.server.layout import Layout
from segue.server.machine import Machine
from segue.server.parts import File, Folder, Part, User
from segue.server.running import Kept, Site

_RELOAD = ("systemctl", "daemon-reload")
_TO_END = 10  # seconds that a server may need after drain and linger
_SLACK = 60  # seconds that a start may need beyond what the config allows
_ENV = """\
# The environment of {app}, one NAME=value a line. `segue restart` puts a change into effect.
"""


def decided(name: str, config: AppConfig, target: Target) -> Installed:
    """What setup decides for the target called `name`.

    Raises:
        UsageError: it is no server's.
    """
    if target.domain is None:
        raise UsageError(
            "target",
            f"The target {name} has no domain, so it is no server to set up.",
            hint=f'set domain = "shop.example" in [targets.{name}]',
        )
    stop_timeout = math.ceil(config.drain_timeout + config.linger) + _TO_END
    return Installed(
        app=config.name,
        target=name,
        user=target.user or config.name,
        deploy_user=target.deploy_user,
        domain=target.domain,
        version=__version__,
        aliases=target.aliases,
        certificate=_text(target.certificate),
        certificate_key=_text(target.certificate_key),
        acme_root=_text(target.acme_root),
        body_limit=target.body_limit,
        writable=tuple(map(str, target.writable)),
        unconfined=tuple(target.unconfined),
        static_url=None if config.static is None else config.static.url,
        stop_timeout=stop_timeout,
        start_timeout=math.ceil(config.ready_timeout + config.watch_limit) + stop_timeout + _SLACK,
    )


def wanted(machine: Machine, layout: Layout, installed: Installed, target: Target) -> list[Part]:
    """All parts of the server, for `installed`, which was decided for `target`."""
    return [
        *_users(layout, installed),
        *_state(layout, installed),
        *installation.wanted(layout),
        *_folders(machine, layout, installed),
        *_units(layout, installed),
        Site(layout, _site(layout, installed, target)),
        sudoers(layout, [*_other_askers(layout), installed.deploy_user]),
    ]


def sudoers(layout: Layout, deploy_users: list[str]) -> File:
    """Who may ask for deploys, of all apps together."""
    return File(layout.sudoers, units.sudoers(Layout(layout.app), deploy_users), mode=0o440)


def _other_askers(layout: Layout) -> list[str]:
    return [one.deploy_user for one in installed_apps(layout) if one.app != layout.app]


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _users(layout: Layout, installed: Installed) -> list[Part]:
    home = str(Layout(layout.app).shared)
    app = ("--system", "--no-create-home", "--home-dir", home, "--shell", "/usr/sbin/nologin")
    asks = ("--create-home", "--shell", "/bin/bash")
    return [
        User(installed.user, (*app, "--comment", comment(layout.app)), "of the system, without login"),
        User(
            installed.deploy_user, (*asks, "--comment", "asks segue for deploys"), "with a home, no password"
        ),
    ]


def _state(layout: Layout, installed: Installed) -> list[Part]:
    ours = f' "app": "{layout.app}",\n'
    return [
        Folder(layout.states),
        Folder(layout.state),
        File(layout.installed, installed.as_text(), mark=ours),
        *(Folder(one) for one in (layout.receipts, layout.release_states, layout.generations, layout.tasks)),
        Folder(layout.requests, mode=0o700),
    ]


def _folders(machine: Machine, layout: Layout, installed: Installed) -> list[Part]:
    app, deploy = (_group(machine, name) for name in (installed.user, installed.deploy_user))
    parts: list[Part] = [
        Folder(layout.home),
        Folder(layout.releases, installed.deploy_user, deploy),
        # whoever builds has to see what is there to be linked, and can't make it
        Folder(layout.shared, installed.user, app, 0o751),
        Folder(layout.shared / "instance", installed.user, app, 0o750),
        File(layout.env_file, _ENV.format(app=layout.app), "root", app, 0o640, mark="", seed=True),
    ]
    if installed.acme_root is not None:
        parts.append(Folder(layout.root / installed.acme_root.lstrip("/")))
    return parts


def _group(machine: Machine, user: str) -> str:
    account = machine.account(user)
    return user if account is None else account.group


def _units(layout: Layout, installed: Installed) -> list[Part]:
    said = Layout(layout.app)  # the texts name paths as the server's own
    texts = {
        layout.service_template: units.service(said, installed),
        layout.socket_template: units.socket(said),
        layout.deploy_template: units.deploy(said, installed),
        layout.keeper_unit: units.keeper(said, installed),
    }
    return [
        File(layout.tmpfiles, units.tmpfiles(said)),
        *(Folder(folder) for folder in (layout.runs, layout.run, layout.front)),
        *(File(layout.units / name, text, then=_RELOAD) for name, text in texts.items()),
        Kept(layout),
    ]


def _site(layout: Layout, installed: Installed, target: Target) -> str:
    doors, said = Doors(ipv6=Path("/proc/net/if_inet6").exists()), Layout(layout.app)
    url = installed.static_url
    static = None if url is None else StaticPlace(url, said.static_link)
    return render_site(layout.app, target, said.live_socket, doors=doors, static=static)
