"""The plan is a value: it names everything, and looks at nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segue.build.source import Source
from segue.config.schema import AppConfig, Hooks, Static
from segue.core.plan import Plan
from segue.deploy.plan import BLUE_GREEN, HANDOFF, Ground, plan_deploy, plan_return, plan_start
from segue.deploy.steps import PHASES, STEPS

CONFIG = AppConfig.model_validate({"name": "shop", "check": "/healthz", "drain_timeout": "7s", "keep": 3})
HOOKS = Hooks.model_validate(
    {
        "after_build": ["flask warm 'the cache'", ["true"]],
        "before_switch": ["true"],
        "after_commit": ["true"],
        "after_rollback": ["true"],
    }
)
SOURCE = Source(Path("/nowhere"), revision="8c1f2e9", git=True)
RELEASE = "20261121T013455-8c1f2e9"
LIVE = "20261120T000000-0000000.1"


def ground(live: str | None, strategy: str = HANDOFF, processes: tuple[str, ...] = ()) -> Ground:
    return Ground(CONFIG, "local", strategy, live, processes)


def deploy(live: str | None, strategy: str = HANDOFF, processes: tuple[str, ...] = ()) -> Plan:
    return plan_deploy(ground(live, strategy, processes), RELEASE, source=SOURCE, module="wsgi:app")


def names(plan: Plan) -> list[str]:
    return [step.name for step in plan.steps]


def test_a_deploy_goes_through_all_phases() -> None:
    wanted = ["build", "import", "migrate", "boot", "ready", "switch", "watch", "commit", "drain"]
    wanted += ["contract", "prune"]
    assert names(deploy(LIVE)) == wanted
    wanted.insert(6, "verify")
    assert names(deploy(LIVE, BLUE_GREEN)) == wanted
    wanted.insert(9, "processes")
    assert names(deploy(LIVE, BLUE_GREEN, processes=("worker",))) == wanted
    config = CONFIG.model_copy(update={"hooks": HOOKS, "static": Static()})
    everything = Ground(config, "production", BLUE_GREEN, LIVE, ("worker",))
    deployed = plan_deploy(everything, RELEASE, source=SOURCE, module="wsgi:app")
    back = plan_return(everything, f"{RELEASE}.2")
    hooked = ["after_build", "static", "before_switch", "after_commit"]
    assert [name for name in names(deployed) if name not in wanted] == hooked
    assert [name for name in names(back) if name not in wanted] == ["before_switch", "after_rollback"]
    assert [name for name in STEPS if name not in ("env", "after_rollback")] == names(deployed)
    assert deployed.steps[1].does == "run flask warm 'the cache', then true"


@pytest.mark.parametrize(("strategy", "last"), [(HANDOFF, "after_commit"), (BLUE_GREEN, "drain")])
def test_hooks_after_the_commit_run_when_the_new_release_alone_answers(strategy: str, last: str) -> None:
    hooked = Ground(CONFIG.model_copy(update={"hooks": HOOKS}), "production", strategy, LIVE)
    plan = plan_deploy(hooked, RELEASE, source=SOURCE, module="wsgi:app")
    assert [name for name in names(plan) if name in ("drain", "after_commit")][-1] == last


def test_a_plan_that_starts_something_tells_what_there_is_to_say_of_its_environment() -> None:
    told = Ground(CONFIG, "local", BLUE_GREEN, LIVE, env="PORT: as the app needs it")
    plan = plan_deploy(told, RELEASE, source=SOURCE, module="wsgi:app")
    assert names(plan)[:2] == list(STEPS)[:2] == ["env", "build"]
    assert plan.steps[0].does == told.env
    assert names(plan_start(told, RELEASE, 2, verb="restart"))[:2] == ["env", "boot"]
    assert names(plan_return(told, LIVE))[0] == "ready"


def test_a_rollback_to_what_is_warm_boots_nothing() -> None:
    plan = plan_return(ground(LIVE, BLUE_GREEN), f"{RELEASE}.2")
    assert (plan.verb, plan.previous, plan.generation) == ("rollback", LIVE, f"{RELEASE}.2")
    assert names(plan) == ["ready", "switch", "verify", "watch", "commit", "drain", "prune"]


def test_without_anything_live_there_is_nothing_to_watch_or_drain() -> None:
    assert names(deploy(None)) == ["build", "import", "migrate", "boot", "ready", "switch", "commit", "prune"]


@pytest.mark.parametrize(
    ("migrate", "live", "does"),
    [
        (None, None, ["run the migrations that its database lacks, if it has any"]),
        ("flask db upgrade", LIVE, ["run `flask db upgrade` in the release"]),
        (False, LIVE, []),
    ],
)
def test_migrations_are_a_step_unless_the_config_says_never(
    migrate: str | bool | None, live: str | None, does: list[str]
) -> None:
    config = AppConfig.model_validate(
        {"name": "shop", "migrate": migrate} if migrate is not None else {"name": "shop"}
    )
    plan = plan_deploy(Ground(config, "local", HANDOFF, live), RELEASE, source=SOURCE, module="wsgi:app")
    assert [step.does for step in plan.steps if step.name == "migrate"] == does


@pytest.mark.parametrize("verb", ["rollback", "restart"])
def test_what_is_on_disk_is_started_and_not_built(verb: str) -> None:
    plan = plan_start(ground(LIVE), RELEASE, 3, verb=verb)
    assert (plan.verb, plan.previous, plan.generation) == (verb, LIVE, f"{RELEASE}.3")
    assert names(plan) == ["boot", "ready", "switch", "watch", "commit", "drain", "prune"]


def test_everything_is_named_up_front_and_equal_words_make_equal_plans() -> None:
    plan = deploy(LIVE)
    assert plan == deploy(LIVE)
    assert json.loads(json.dumps(plan.as_dict())) == plan.as_dict()
    told = " ".join(step.does for step in plan.steps)
    for word in (RELEASE, f"{RELEASE}.1", LIVE, "wsgi:app", "/healthz", "7.0 s", "3 good releases"):
        assert word in told


DOES = {
    "build": f"copy {SOURCE.describe()} to release {RELEASE}, with its own dependencies",
    "import": "import wsgi:app once, apart from everything, with the release's own interpreter",
    "migrate": f"run the migrations that its database lacks, if it has any; none that {LIVE} can't live with",
    "boot": f"start {RELEASE}.1 beside what serves; its first worker imports the app "
    "and answers GET /healthz in its own process",
    "ready": "wait until all its workers are ready, at most 60.0 s",
    "switch": f"let {RELEASE}.1 accept requests",
    "watch": "both serve: compare them for 10.0 s and 50 answers, at most 60.0 s; worse is taken back",
    "commit": f"{RELEASE}.1 is the live generation from here on",
    "drain": f"{LIVE} stops accepting, finishes what it holds, and leaves; cut after 7.0 s",
    "contract": f"run the migrations that had to wait until {LIVE} had stopped, if there are any",
    "prune": "keep 3 good releases on disk",
}


def test_the_dry_run_of_a_deploy_in_its_own_words() -> None:
    assert deploy(LIVE).as_dict() == {
        "verb": "deploy",
        "app": "shop",
        "target": "local",
        "strategy": "handoff",
        "release": RELEASE,
        "generation": f"{RELEASE}.1",
        "previous": LIVE,
        "steps": [{"name": name, "does": does} for name, does in DOES.items()],
    }


BLUE_GREEN_DOES = {
    **DOES,
    "switch": f"ask {RELEASE}.1 on its own socket, and lead the front to it",
    "verify": f"ask for /healthz, /cart where users do; an answer that is not {RELEASE}.1's takes it back",
    "watch": "compare it with what served before for 10.0 s and 50 answers, at most 60.0 s; "
    "worse is taken back",
    "drain": f"{LIVE} finishes what it holds, for 7.0 s at most, and is kept warm for 60.0 s",
    "contract": f"{DOES['contract']}; nothing is kept warm then",
}


def test_the_words_of_blue_green() -> None:
    config = CONFIG.model_copy(update={"smoke": ("/cart",)})
    plan = plan_deploy(
        Ground(config, "production", BLUE_GREEN, LIVE), RELEASE, source=SOURCE, module="wsgi:app"
    )
    assert (plan.target, plan.strategy) == ("production", "blue-green")
    assert {step.name: step.does for step in plan.steps} == BLUE_GREEN_DOES


def test_the_words_of_processes() -> None:
    steps = {step.name: step.does for step in deploy(LIVE, BLUE_GREEN, processes=("worker", "clock")).steps}
    expected = f"run worker, clock as {RELEASE}.1 says; then those before finish, and leave"
    assert steps["processes"] == expected


def test_the_words_of_a_start_and_of_a_return() -> None:
    started = {step.name: step.does for step in plan_start(ground(LIVE), RELEASE, 1, verb="restart").steps}
    assert started == {name: does for name, does in DOES.items() if name in started}
    ready = plan_return(ground(LIVE, BLUE_GREEN), f"{RELEASE}.1").steps[0]
    assert ready.does == f"{RELEASE}.1 is warm: ask it for /healthz on its own socket"


def test_every_phase_before_the_commit_has_its_step() -> None:
    config = CONFIG.model_copy(update={"static": Static()})
    plan = plan_deploy(Ground(config, "local", HANDOFF, LIVE), RELEASE, source=SOURCE, module="wsgi:app")
    assert list(PHASES) == names(plan)[: names(plan).index("commit")]


@pytest.mark.parametrize(
    ("static", "does"),
    [
        ({}, "run Django's collectstatic, where it is a Django project; have"),
        ({"collect": False}, "have"),
        ({"build": ["npm ci", "npm run build"], "collect": "make css"},
         "run `npm ci`, then `npm run build`, then `make css`; have"),
    ],
)  # fmt: skip
def test_the_words_of_static_files(static: dict[str, object], does: str) -> None:
    config = AppConfig.model_validate({"name": "shop", "static": static})
    plan = plan_deploy(Ground(config, "local", HANDOFF, LIVE), RELEASE, source=SOURCE, module="wsgi:app")
    (step,) = (one for one in plan.steps if one.name == "static")
    assert step.does == f"{does} what is in static beside the files of all releases on disk"
