"""Everything that a deploy needs, looked up before anything is touched."""

from __future__ import annotations

from pathlib import Path

from segue.build.detect import detect_module
from segue.build.source import resolve_source
from segue.config.schema import AppConfig
from segue.core.errors import Refused, UsageError
from segue.core.ids import new_release_id, release_of
from segue.core.record import Record
from segue.deploy.plan import HANDOFF, plan_deploy, plan_start
from segue.deploy.run import Run, Site
from segue.embedded.server import Asker


def prepare(site: Site, config: AppConfig, asker: Asker) -> Run:
    """The deploy that `asker` asks for, not begun.

    Raises:
        SegueError: it can't be done; nothing was touched.
    """
    record, args = site.home.read_record(), asker.args
    if args.get("strategy") not in (None, HANDOFF):
        raise UsageError(
            "strategy",
            f"The embedded keeper knows only the strategy {HANDOFF}.",
            evidence=f"asked for: {args['strategy'][:40]}",
            hint="blue-green needs a front before the app: it comes with server targets",
        )
    if asker.verb not in ("up", "deploy"):
        return _start(site, config, asker, record)
    folder = site.home.project if args.get("path") is None else Path(args["path"])
    module = config.module or detect_module(folder)
    source = resolve_source(folder, args.get("rev"))
    release = new_release_id(site.now(), source.revision, site.home.releases())
    plan = plan_deploy(config, record.live, release, source=source, module=module, verb=asker.verb)
    return Run(plan, config, site, record, module, asker.by, source=source)


def _start(site: Site, config: AppConfig, asker: Asker, record: Record) -> Run:
    """A release that is on disk, anew."""
    if record.live is None:
        hint = "wait until `segue up` says that it serves"
        raise Refused("no_live", "Nothing is live yet.", evidence=f"phase: {record.phase.value}", hint=hint)
    if asker.verb == "restart":
        release = release_of(record.live)
    else:
        release = site.releases.rollback_target(record, asker.args.get("to"))
    plan = plan_start(config, record.live, release, site.releases.next_start(release), verb=asker.verb)
    return Run(plan, config, site, record, site.releases.module(release), asker.by)
