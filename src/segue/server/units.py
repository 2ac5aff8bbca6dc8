"""The files that `segue setup` puts on a server, as text. Pure: what comes in was checked before."""

from __future__ import annotations

from collections.abc import Iterable

from segue.run.unit import NOT_AGAIN
from segue.server.installed import Installed
from segue.server.layout import Layout
from segue.server.sandbox import Directive, as_lines, confinement

MARK = "# made by `segue setup`; what you change here is lost when it runs again\n"
FRONT_GROUP = "www-data"
_AFTER_STOP = 60  # seconds: what an executor may need beyond the end of a generation


def service(layout: Layout, installed: Installed) -> str:
    """The template whose instances are generations.

    It names no socket: a server that binds by itself has none. The socket's own ``Service=`` is what hands
    over the descriptor.
    """
    return _unit(
        [("Description", f"{layout.app}, generation %i"), ("StartLimitIntervalSec", "0")],
        Service=[
            ("Type", "exec"),
            ("ExecStartPre", f"+{_module(layout, 'mark')} before %i"),
            ("ExecStart", f"{layout.python} -I -S {layout.code}/run/unit.py {layout.generations}/%i"),
            ("ExecStartPost", f"+{_module(layout, 'mark')} after %i"),
            ("Restart", "on-failure"),
            # a candidate that ended while it was held: whoever deploys it takes it away
            ("RestartPreventExitStatus", str(NOT_AGAIN)),
            ("RestartSec", "100ms"),
            ("KillMode", "mixed"),
            ("TimeoutStopSec", str(installed.stop_timeout)),
            # the kernel ends one worker, and the master starts another; "stop" would end them all
            ("OOMPolicy", "continue"),
            ("LimitNOFILE", "65536"),
            *confinement(layout, installed, "%i"),
        ],
        collected=True,
    )


def socket(layout: Layout) -> str:
    """The template whose instances are the sockets of generations."""
    return _unit(
        [("Description", f"{layout.app}, socket of generation %i"), ("StartLimitIntervalSec", "0")],
        Socket=[
            ("ListenStream", f"{layout.run}/%i/http.sock"),
            ("Service", layout.service_template.replace("@", "@%i")),
            ("SocketUser", "root"),
            ("SocketGroup", FRONT_GROUP),
            ("SocketMode", "0660"),
            ("DirectoryMode", "0755"),
            ("Backlog", "2048"),
            ("RemoveOnStop", "yes"),
            ("TriggerLimitIntervalSec", "0"),
        ],
        collected=True,
    )


def deploy(layout: Layout, installed: Installed) -> str:
    """The template whose instances are deploys; whatever ends one, converge runs after it."""
    return _unit(
        [("Description", f"deploy of {layout.app}, request %i"), ("StartLimitIntervalSec", "0")],
        Service=[
            ("Type", "exec"),
            ("ExecStart", f"{_module(layout, 'execute')} %i"),
            ("ExecStopPost", f"{_module(layout, 'recover')} %i"),
            ("KillMode", "mixed"),
            ("TimeoutStopSec", str(installed.stop_timeout + _AFTER_STOP)),
            ("OOMPolicy", "continue"),
        ],
        collected=True,
    )


def keeper(layout: Layout, installed: Installed) -> str:
    """The unit that people and the boot know."""
    keep = _module(layout, "keep")
    return _unit(
        [
            ("Description", f"{layout.app}, kept by segue"),
            ("After", "network.target"),
            ("StartLimitIntervalSec", "0"),
        ],
        Service=[
            ("Type", "notify"),
            ("ExecStart", keep),
            ("ExecReload", f"{keep} reload"),
            ("ExecStop", f"{keep} stop"),
            # whoever kills the keeper, by whatever signal, does not mean the app
            ("Restart", "always"),
            ("RestartSec", "1s"),
            # 1 says that the live generation is gone for good: `systemctl status` has to tell it
            ("RestartPreventExitStatus", "1"),
            ("TimeoutStartSec", str(installed.start_timeout)),
            ("TimeoutStopSec", str(installed.stop_timeout + _AFTER_STOP)),
        ],
        Install=[("WantedBy", "multi-user.target")],
    )


def tmpfiles(layout: Layout) -> str:
    """What makes the folders of sockets at boot."""
    folders = (layout.runs, layout.run, layout.front)
    return MARK + "".join(f"d {folder} 0755 root root -\n" for folder in folders)


def sudoers(layout: Layout, deploy_users: Iterable[str]) -> str:
    """Who may ask for deploys: one exact command, where the empty word forbids arguments."""
    rules = [f'{user} ALL=(root:root) NOPASSWD: {layout.exec} ""\n' for user in sorted({*deploy_users})]
    return f"{MARK}Defaults!{layout.exec} env_reset, !use_pty\n{''.join(rules)}"


def exec_script(layout: Layout) -> str:
    """The one command that sudo allows."""
    return _script(layout, "segue.server.exec_")


def cli_script(layout: Layout) -> str:
    """The `segue` command of the server's own installation."""
    return _script(layout, "segue.cli.main")


def _script(layout: Layout, module: str) -> str:
    return f"#!{layout.python} -I\n{MARK}import sys\n\nfrom {module} import main\n\nsys.exit(main())\n"


def _module(layout: Layout, name: str) -> str:
    return f"{layout.python} -I -m segue.server.{name} {layout.app}"


def _unit(unit: list[Directive], *, collected: bool = False, **sections: list[Directive]) -> str:
    # without it, each generation that ever failed would stay in systemd's memory
    collect = [("CollectMode", "inactive-or-failed")] if collected else []
    texts = [f"[{name}]\n{as_lines(lines)}" for name, lines in {"Unit": unit + collect, **sections}.items()]
    return MARK + "\n".join(texts)
