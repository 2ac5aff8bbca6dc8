"""Everything that a deploy needs, looked up before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from segue.build.changes import recent_commits
from segue.build.detect import detect_module
from segue.build.example import example_of
from segue.build.source import Source, resolve_source
from segue.config.schema import AppConfig
from segue.core.contract import Contract
from segue.core.errors import Refused, UsageError
from segue.core.ids import new_release_id, release_of
from segue.core.record import Record
from segue.deploy.env import check_environment
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
        contract: what it demands of its environment.
        allow_contract: whether migrations that what serves may not live with are run once it has stopped.
    """

    verb: str
    by: str = ""
    to: str | None = None
    strategy: str | None = None
    source: Source | None = None
    module: str = ""
    contract: Contract = field(default_factory=Contract)
    allow_contract: bool = False


def look_up(
    project: Path, config: AppConfig, path: str | None, rev: str | None
) -> tuple[Source, str, Contract]:
    """What to deploy, the app in it, and what that demands of its environment.

    It is for who asks to look: on a server root does not read what lies in a source.

    Raises:
        SegueError: there is no such source, or no app in it.
    """
    source = resolve_source(project if path is None else Path(path), rev)
    # neither an archive nor a mirror has files that lie there
    code = project if source.archive or source.url else source.folder
    source = replace(source, log=recent_commits(source))
    return source, config.module or detect_module(code), Contract.of(config.env, example_of(source))


def prepare(site: Site, config: AppConfig, wish: Wish) -> Run:
    """The deploy that `wish` asks for, not begun.

    Raises:
        SegueError: it can't be done; nothing was touched.
    """
    _refuse_unfit(site, config, wish)
    record = site.home.read_record()
    if wish.source is None:
        return _of_release(site, config, wish, record, _release_on_disk(site, wish, record))
    ground = _ground(site, config, record, wish.contract)
    release = new_release_id(site.now(), wish.source.revision, site.home.releases())
    plan = plan_deploy(ground, release, source=wish.source, module=wish.module, verb=wish.verb)
    return Run(
        plan,
        config,
        site,
        record,
        wish.module,
        wish.by,
        wish.source,
        wish.contract,
        wish.allow_contract,
    )


def _refuse_unfit(site: Site, config: AppConfig, wish: Wish) -> None:
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


def _of_release(site: Site, config: AppConfig, wish: Wish, record: Record, release: str) -> Run:
    """A release on disk: the generation of it that is kept warm, or a new one, by the release's contract."""
    warm, contract = record.standby, site.releases.contract(release)
    if wish.verb == "rollback" and warm is not None and release_of(warm) == release and _is_up(site, warm):
        # it has its environment
        plan = plan_return(_ground(site, config, record), warm)
    else:
        ground = _ground(site, config, record, contract)
        plan = plan_start(ground, release, site.releases.next_start(release), verb=wish.verb)
    return Run(plan, config, site, record, site.releases.module(release), wish.by, contract=contract)


def _ground(site: Site, config: AppConfig, record: Record, contract: Contract | None = None) -> Ground:
    """What a plan starts from; where it starts a generation, that has a `contract`."""
    env = "" if contract is None else check_environment(site, contract, record.live).describe()
    return Ground(config, site.target, site.strategy, record.live, _processes(site, config), env)


def _processes(site: Site, config: AppConfig) -> tuple[str, ...]:
    """What is to run beside the app, or does."""
    if site.background is None:
        return ()
    return tuple(dict.fromkeys([*config.processes, *(name for _, name in site.background.running())]))


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


def _is_up(site: Site, generation: str) -> bool:
    return generation in site.processes.observe()
