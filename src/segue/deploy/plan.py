"""Makes the plan of a deploy, a rollback or a restart. Pure: it looks at nothing but its arguments."""

from __future__ import annotations

from segue.build.source import Source
from segue.config.schema import AppConfig
from segue.core.durations import format_duration
from segue.core.ids import generation_id
from segue.core.plan import Plan, Step

HANDOFF = "handoff"


def plan_deploy(
    config: AppConfig, live: str | None, release: str, *, source: Source, module: str, verb: str = "deploy"
) -> Plan:
    """The plan to build `source` as `release` and bring it in beside `live`."""
    prepare = (
        Step("build", f"copy {source.describe()} to release {release}, with its own dependencies"),
        Step("import", f"import {module} once, apart from everything, with the release's own interpreter"),
    )
    return _plan(config, verb, live, release, 1, prepare)


def plan_start(config: AppConfig, live: str | None, release: str, number: int, *, verb: str) -> Plan:
    """The plan to start `release`, which is on disk, for the `number`th time: a rollback or a restart."""
    return _plan(config, verb, live, release, number, ())


def _plan(
    config: AppConfig, verb: str, live: str | None, release: str, number: int, prepare: tuple[Step, ...]
) -> Plan:
    generation = generation_id(release, number)
    return Plan(
        verb=verb,
        app=config.name,
        target="local",
        strategy=HANDOFF,
        release=release,
        generation=generation,
        previous=live,
        steps=(*prepare, *_bring_in(config, generation), *_hand_over(config, live, generation)),
    )


def _bring_in(config: AppConfig, generation: str) -> tuple[Step, ...]:
    check = f"GET {config.check} in its own process"
    return (
        Step(
            "boot",
            f"start {generation} beside what serves; its first worker imports the app and answers {check}",
        ),
        Step(
            "ready", f"wait until all its workers are ready, at most {format_duration(config.ready_timeout)}"
        ),
        Step("switch", f"let {generation} accept requests"),
    )


def _hand_over(config: AppConfig, live: str | None, generation: str) -> tuple[Step, ...]:
    commit = Step("commit", f"{generation} is the live generation from here on")
    prune = Step("prune", f"keep {config.keep} good releases on disk")
    if live is None:
        return (commit, prune)
    deadline = format_duration(config.drain_timeout)
    drain = f"{live} stops accepting, finishes what it holds, and leaves; cut after {deadline}"
    return (Step("watch", _watch(config)), commit, Step("drain", drain), prune)


def _watch(config: AppConfig) -> str:
    return (
        f"both serve: compare them for {format_duration(config.watch)} and {config.watch_requests} answers, "
        f"at most {format_duration(config.watch_limit)}; worse is taken back"
    )
