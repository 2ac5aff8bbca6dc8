"""Makes the plan of a deploy, a rollback or a restart. Pure: it looks at nothing but its arguments."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from segue.build.source import Source
from segue.config.schema import AppConfig
from segue.core.durations import format_duration
from segue.core.ids import generation_id, release_of
from segue.core.plan import Plan, Step

HANDOFF = "handoff"
BLUE_GREEN = "blue-green"
# the step that is taken only where the database has such migrations before it
CONTRACT = "contract"


@dataclass(frozen=True)
class Ground:
    """What a plan starts from.

    Attributes:
        config: the app's config.
        target: where it runs.
        strategy: how new requests change sides there.
        live: the generation that serves; None where nothing does.
        processes: the names of the processes that run there, or are to, beside those that serve.
        env: what there is to say of the environment that starts there; empty where there is nothing.
    """

    config: AppConfig
    target: str
    strategy: str
    live: str | None
    processes: tuple[str, ...] = ()
    env: str = ""


def plan_deploy(ground: Ground, release: str, *, source: Source, module: str, verb: str = "deploy") -> Plan:
    """The plan to build `source` as `release` and bring it in beside what is live."""
    build = (
        Step("build", f"copy {source.describe()} to release {release}, with its own dependencies"),
        *_hooks(ground, "after_build"),
        *_static(ground),
        Step("import", f"import {module} once, apart from everything, with the release's own interpreter"),
    )
    generation = generation_id(release, 1)
    steps = (*_env(ground), *build, *_migrate(ground), *_start(ground, generation))
    return _plan(ground, verb, generation, steps, _contract(ground))


def plan_start(ground: Ground, release: str, number: int, *, verb: str) -> Plan:
    """The plan to start `release`, which is on disk, for the `number`th time: a rollback or a restart."""
    generation = generation_id(release, number)
    return _plan(ground, verb, generation, (*_env(ground), *_start(ground, generation)))


def plan_return(ground: Ground, generation: str) -> Plan:
    """The plan to roll back to `generation`, which is kept warm: nothing has to boot."""
    ready = Step("ready", f"{generation} is warm: ask it for {ground.config.check} on its own socket")
    return _plan(ground, "rollback", generation, (ready,))


def _plan(
    ground: Ground, verb: str, generation: str, until_ready: tuple[Step, ...], last: tuple[Step, ...] = ()
) -> Plan:
    return Plan(
        verb=verb,
        app=ground.config.name,
        target=ground.target,
        strategy=ground.strategy,
        release=release_of(generation),
        generation=generation,
        previous=ground.live,
        steps=(
            *until_ready,
            *_hooks(ground, "before_switch"),
            *_switch(ground, generation),
            *_hand_over(ground, generation, "after_rollback" if verb == "rollback" else "after_commit"),
            *last,
            Step("prune", f"keep {ground.config.keep} good releases on disk"),
        ),
    )


def _env(ground: Ground) -> tuple[Step, ...]:
    return (Step("env", ground.env),) if ground.env else ()


def _static(ground: Ground) -> tuple[Step, ...]:
    static = ground.config.static
    if static is None:
        return ()
    commands = [f"`{shlex.join(command)}`" for command in static.build]
    if static.collect is None:
        commands.append("Django's collectstatic, where it is a Django project")
    elif static.collect:
        commands.append(f"`{shlex.join(static.collect)}`")
    run = f"run {', then '.join(commands)}; " if commands else ""
    keep = f"have what is in {static.folder} beside the files of all releases on disk"
    return (Step("static", run + keep),)


def _migrate(ground: Ground) -> tuple[Step, ...]:
    """Whether there is anything to migrate, only the release can tell, and that is not built yet."""
    command = ground.config.migrate
    if command is False:
        return ()
    if command is not None:
        return (Step("migrate", f"run `{shlex.join(command)}` in the release"),)
    who = f"; none that {ground.live} can't live with" if ground.live else ""
    return (Step("migrate", f"run the migrations that its database lacks, if it has any{who}"),)


def _contract(ground: Ground) -> tuple[Step, ...]:
    if ground.live is None or ground.config.migrate is not None:
        return ()
    warm = "" if ground.strategy == HANDOFF else "; nothing is kept warm then"
    waited = f"run the migrations that had to wait until {ground.live} had stopped"
    return (Step(CONTRACT, f"{waited}, if there are any{warm}"),)


def _start(ground: Ground, generation: str) -> tuple[Step, ...]:
    check = f"GET {ground.config.check} in its own process"
    timeout = format_duration(ground.config.ready_timeout)
    return (
        Step(
            "boot",
            f"start {generation} beside what serves; its first worker imports the app and answers {check}",
        ),
        Step("ready", f"wait until all its workers are ready, at most {timeout}"),
    )


def _switch(ground: Ground, generation: str) -> tuple[Step, ...]:
    if ground.strategy == HANDOFF:
        return (Step("switch", f"let {generation} accept requests"),)
    paths = ", ".join((ground.config.check, *ground.config.smoke))
    return (
        Step("switch", f"ask {generation} on its own socket, and lead the front to it"),
        Step("verify", f"ask for {paths} where users do; an answer that is not {generation}'s takes it back"),
    )


def _hooks(ground: Ground, place: str) -> tuple[Step, ...]:
    commands = getattr(ground.config.hooks, place)
    return (Step(place, "run " + ", then ".join(map(shlex.join, commands))),) if commands else ()


def _hand_over(ground: Ground, generation: str, place: str) -> tuple[Step, ...]:
    commit = Step("commit", f"{generation} is the live generation from here on")
    after, hooks = (commit, *_processes(ground, generation)), _hooks(ground, place)
    if ground.live is None:
        return (*after, *hooks)
    drain = Step("drain", _drain(ground))
    # until then the old release answers as well
    last = (drain, *hooks) if ground.strategy == HANDOFF else (*hooks, drain)
    return (Step("watch", _watch(ground)), *after, *last)


def _processes(ground: Ground, generation: str) -> tuple[Step, ...]:
    if not ground.processes:
        return ()
    names = ", ".join(ground.processes)
    return (Step("processes", f"run {names} as {generation} says; then those before finish, and leave"),)


def _drain(ground: Ground) -> str:
    live, deadline = ground.live, format_duration(ground.config.drain_timeout)
    if ground.strategy == HANDOFF:
        return f"{live} stops accepting, finishes what it holds, and leaves; cut after {deadline}"
    standby = format_duration(ground.config.standby)
    return f"{live} finishes what it holds, for {deadline} at most, and is kept warm for {standby}"


def _watch(ground: Ground) -> str:
    config = ground.config
    who = "both serve: compare them" if ground.strategy == HANDOFF else "compare it with what served before"
    return (
        f"{who} for {format_duration(config.watch)} and {config.watch_requests} answers, "
        f"at most {format_duration(config.watch_limit)}; worse is taken back"
    )
