"""Everything that a deploy needs, looked up before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segue.build.detect import detect_module
from segue.build.source import Source, resolve_source
from segue.config.schema import AppConfig
from segue.core.errors import Refused, UsageError
from segue.core.ids import new_release_id, release_of
from segue.core.plan import Plan
from segue.core.record import Record
from segue.deploy.plan import Ground, plan_deploy, plan_return, plan_start
from segue.deploy.run import Run, Site
from segue.run.servers import GATED


@dataclass(frozen=True)
class Wish:
    """What somebody asks for.

    Attributes:
        verb: ``up``, ``deploy``, ``rollback`` or ``restart``.
        by: who asks.
        to: the release to go back to, where one is named.
        strategy: how requests are to change sides, where one is named.
        source: what to deploy; None where the release is on disk.
        module: the app in it.
        allow_contract: whether migrations are run that what serves may not live with.
    """

    verb: str
    by: str = ""
    to: str | None = None
    strategy: str | None = None
    source: Source | None = None
    module: str = ""
    allow_contract: bool = False


def look_up(project: Path, config: AppConfig, path: str | None, rev: str | None) -> tuple[Source, str]:
    """What to deploy, and the app in it.

    Raises:
        SegueError: there is no such source, or no app in it.
    """
    folder = project if path is None else Path(path)
    return resolve_source(folder, rev), config.module or detect_module(folder)


def prepare(site: Site, config: AppConfig, wish: Wish) -> Run:
    """The deploy that `wish` asks for, not begun.

    Raises:
        SegueError: it can't be done; nothing was touched.
    """
    record = site.home.read_record()
    ground = Ground(config, site.target, site.strategy, record.live, _processes(site, config))
    if wish.strategy not in (None, site.strategy):
        raise UsageError(
            "strategy",
            f"The target {site.target} knows only the strategy {site.strategy}.",
            evidence=f"asked for: {wish.strategy[:40]}",
            hint="blue-green needs a front before the app: it comes with server targets",
        )
    if site.front is None and config.server not in (None, *GATED):
        raise UsageError(
            "server",
            f"{'A command' if isinstance(config.server, tuple) else 'Granian'} needs a front before it.",
            evidence="it binds by itself, so it can't share the socket that users come in by",
            hint=f"on this target use one of {', '.join(GATED)}; a server target runs it",
        )
    if wish.source is None:
        release = _release_on_disk(site, wish, record)
        return Run(
            _plan(site, ground, wish, record, release), config, site, record, _module(site, release), wish.by
        )
    release = new_release_id(site.now(), wish.source.revision, site.home.releases())
    plan = plan_deploy(ground, release, source=wish.source, module=wish.module, verb=wish.verb)
    return Run(
        plan,
        config,
        site,
        record,
        wish.module,
        wish.by,
        source=wish.source,
        allow_contract=wish.allow_contract,
    )


def _processes(site: Site, config: AppConfig) -> tuple[str, ...]:
    """What is to run beside the app, or does."""
    if site.background is None:
        return ()
    return tuple(dict.fromkeys([*config.processes, *(name for _, name in site.background.running())]))


def _module(site: Site, release: str) -> str:
    return site.releases.module(release)


def _release_on_disk(site: Site, wish: Wish, record: Record) -> str:
    if record.live is None:
        hint = (
            "`segue deploy` brings in the first release"
            if site.front
            else "wait until `segue up` says that it serves"
        )
        raise Refused("no_live", "Nothing is live yet.", evidence=f"phase: {record.phase.value}", hint=hint)
    if wish.verb == "restart":
        return release_of(record.live)
    return site.releases.rollback_target(record, wish.to)


def _plan(site: Site, ground: Ground, wish: Wish, record: Record, release: str) -> Plan:
    """A release that is on disk: the generation of it that is kept warm, or a new one."""
    warm = record.standby
    if wish.verb == "rollback" and warm is not None and release_of(warm) == release and _is_up(site, warm):
        return plan_return(ground, warm)
    return plan_start(ground, release, site.releases.next_start(release), verb=wish.verb)


def _is_up(site: Site, generation: str) -> bool:
    return generation in site.processes.observe()
