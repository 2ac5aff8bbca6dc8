"""Bad releases on a real server: refused while the old one serves on; only the reason is left of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.bad import demand_good_error, demand_shown
from tests.support.machine.served import STATE, Served, served
from tests.support.site import demand_no_loss, until

RAISES_AT_BOOT = "def post_fork(server, worker):\n    raise LookupError('no fork')\n"
HANGS_AT_BOOT = """
import sys
if "gunicorn.arbiter" in sys.modules:
    time.sleep(FOREVER)
"""
CHECK_RAISES = """
def app(environ, start_response):
    raise LookupError("the shelf is empty")
"""
SHORT = {"ready_timeout": "8s"}
# long enough for a busy machine to get to where it hangs
LONGER = {"ready_timeout": "20s"}


@dataclass(frozen=True)
class Bad:
    """A release that must be refused: what is wrong with it, and what is said of that."""

    name: str
    kind: str
    evidence: tuple[str, ...]
    behaviour: dict[str, Any] = field(default_factory=dict)
    added: str = ""
    files: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)


CASES = [
    Bad("no_module", "module", ("looking for nowhere:app",), settings={"module": "nowhere:app"}),
    Bad("not_callable", "not_callable", ("it is of type str",), {"not_callable": True}),
    Bad(
        "import_error", "import", ("Traceback", "/wsgi.py", "from json import lods"),
        {"import_error": "ImportError"},
    ),
    Bad(
        "missing_dependency", "missing", ("Traceback", "import paymnets"),
        {"import_error": "ModuleNotFoundError"},
    ),
    Bad("os_exit", "import", ("goodbye",), added="print('goodbye', flush=True)\nos._exit(7)"),
    Bad(
        "endless_import", "import_timeout", ("most recent call first", "/wsgi.py"), {"import_hang": True},
        settings=SHORT,
    ),
    Bad(
        "hangs_at_boot", "ready_timeout", ("most recent call first", "/wsgi.py"), added=HANGS_AT_BOOT,
        settings=LONGER,
    ),
    Bad(
        "config", "gunicorn_config", ("workers = = 2", "SyntaxError"),
        files={"gunicorn.conf.py": "workers = = 2\n"},
    ),
    Bad(
        "boot", "boot", ("in post_fork", "LookupError: no fork"), files={"gunicorn.conf.py": RAISES_AT_BOOT}
    ),
    Bad("404", "check", ("GET /healthz", "answer: 404 Not Found"), {"check": "404"}),
    Bad("500", "check", ("answer: 500",), {"check": "500"}, settings=LONGER),
    Bad(
        "500_raised", "check", ("Traceback", "LookupError: the shelf is empty"), added=CHECK_RAISES,
        settings=LONGER,
    ),
    Bad(
        "redirect", "check", ("Host: shop.example", "redirects to: https://secure.example/healthz"),
        {"check": "redirect"},
    ),
    Bad("another_release", "wrong_release", ("answered as release: other",), {"check": "wrong_release"}),
    Bad("smoke", "verify", ("GET /nowhere", "answer: 404"), target={"smoke": ["/nowhere"]}),
    Bad(
        "no_package", "build", ("no-such-package-of-segue",),
        files={"requirements.txt": "--no-index\nno-such-package-of-segue==1.0\n"},
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    """One server for all of them: each must leave it as it was."""
    with served() as app:
        yield app


def edit(app: Served, bad: Bad) -> None:
    tables = {"settings": bad.settings, "target": bad.target}
    app.edit("bad", bad.added, files=bad.files, **tables, **bad.behaviour)


def deploy_refused(app: Served) -> dict[str, Any]:
    """Deploy, which must fail, and say to people and machines why; its receipt."""
    shown = app.segue("deploy", "production")
    assert shown.code == 1, f"{shown.out}\n{shown.err}\n{app.host.journal()[-3000:]}"
    receipt = app.last_receipt()
    demand_good_error(receipt["error"])
    demand_shown(receipt["error"], shown.err)
    return receipt


def demand_as_before(app: Served, before: object) -> None:
    # systemd forgets a unit a moment after its end
    until(lambda: app.look() == before, what=f"{before}, instead of {app.look()},")
    assert app.answer() == "good"


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: f"{bad.kind}-{bad.name}")
def test_a_bad_release_is_refused(app: Served, bad: Bad) -> None:
    edit(app, bad)
    before, failed = app.look(), app.errors_of_nginx()
    with app.traffic() as load:
        receipt = deploy_refused(app)
    demand_no_loss(load)
    assert app.errors_of_nginx() == failed
    assert receipt["error"]["kind"] == bad.kind
    for part in bad.evidence:
        assert part in receipt["error"]["evidence"]
    demand_as_before(app, before)
    assert receipt["previous"] == before.record["live"]
    assert app.host.run("find", f"{STATE}/tasks", "-mindepth", "1").out == ""


@pytest.mark.parametrize(
    ("kind", "behaviour"), [("watch", {"error_share": 0.5}), ("crash", {"crash_on_first_request": True})]
)
def test_what_only_users_meet_is_taken_back(app: Served, kind: str, behaviour: dict[str, Any]) -> None:
    app.edit("bad", settings={"watch": "5s", "check_timeout": "30s"}, **behaviour)
    before = app.look()
    with app.traffic(
        rate=20
    ) as load:  # of more, too many wait for workers that crash, and verify gives up first
        receipt = deploy_refused(app)
    assert receipt["error"]["kind"] == kind
    assert load.lost > 0
    demand_as_before(app, before)
    with app.traffic() as after:
        until(lambda: app.answer() == "good", what="an answer")
    demand_no_loss(after)
