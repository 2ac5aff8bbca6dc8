"""Static files on a real server: nginx serves those of a Django project, through deploys and a rollback."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator

import pytest
from tests.support.machine.host import CHECKOUT, booted
from tests.support.machine.served import DEPLOY_TIMEOUT, SEGUE, SOCKETS, TARGET, Served
from tests.support.machine.shop import DOMAIN
from tests.support.site import demand_no_loss, until
from tests.support.visitors import Visits, content_of, demand_content, django_files, get, visitors

pytestmark = pytest.mark.timeout(900)
STATIC = {"folder": "staticfiles"}
FOREVER = "public, max-age=31536000, immutable"


def edit(app: Served, version: str, static: object = STATIC, standby: str = "0s") -> None:
    requirements = {"requirements.txt": "django\ngunicorn\n"}
    settings = {"static": static, "keep": 2, "migrate": False, "standby": standby}
    wanted = {name: value for name, value in settings.items() if value is not None}
    app.edit(version, settings=wanted, files={**django_files(version), **requirements})


def setup(app: Served, *words: str) -> str:
    return app.host.run(SEGUE, "setup", TARGET, *words, cwd=CHECKOUT, timeout=DEPLOY_TIMEOUT).out


@contextlib.contextmanager
def begun(static: object) -> Iterator[tuple[Served, str]]:
    """Version `v1` on a host, and what its setup showed."""
    with booted() as host:
        app = Served(host)
        edit(app, "v1", static)
        shown = setup(app, "--yes")
        host.run("sh", "-c", "echo SECRET_KEY=of-a-test-and-long >> /etc/shop.env")
        app.ask("deploy")
        yield app, shown


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with begun(STATIC) as (app, shown):
        assert f"alias {SOCKETS}/front/static/;" in shown
        yield app


def ask(app: Served, path: str) -> tuple[int, str, str]:
    status, text, headers = get(f"http://{app.host.address}", path, DOMAIN, way=app.host.way)
    return status, text, str(headers.get("Cache-Control"))


def named(app: Served) -> str:
    (path,) = json.loads(ask(app, "/")[1])["assets"]
    return str(path)


def visiting(app: Served) -> contextlib.AbstractContextManager[Visits]:
    return visitors(f"http://{app.host.address}", DOMAIN, way=app.host.way)


def test_setup_again_has_nothing_to_do(app: Served) -> None:
    assert json.loads(setup(app, "--json"))["changes"] == []


def test_nginx_serves_what_was_collected_as_the_apps_user_and_is_the_builders(app: Served) -> None:
    path = named(app)
    assert ask(app, path) == (200, content_of("v1"), FOREVER)
    assert ask(app, "/static/app.css") == (200, content_of("v1"), "no-cache")
    # the app itself serves none
    assert ask(app, "/static/nowhere.css")[0] == 404
    found = app.host.run("find", "-L", f"{SOCKETS}/front/static", "!", "-user", "deploy").out
    assert found == ""
    assert app.host.run("find", f"{SOCKETS}/front/static/", "-perm", "/022").out == ""
    assert app.host.run("ls", "-ld", "/srv/shop/current/staticfiles").out.startswith("drwxr-xr-x")


def test_old_pages_find_their_files_through_deploys_and_a_rollback(app: Served) -> None:
    first = named(app)
    with visiting(app) as visits, app.traffic(first) as load:
        for version in ("v2", "v3"):
            edit(app, version)
            receipt = app.ask("deploy")
            assert "a static file served" in next(
                step["detail"] for step in receipt["steps"] if step["name"] == "verify"
            )
            if version == "v2":
                app.ask("rollback")
                assert ask(app, "/static/app.css")[1] == content_of("v1")
    demand_no_loss(load)
    demand_content(visits)
    assert visits.pages.keys() == {"v1", "v2", "v3"}
    # of two good releases and the one that was left, the last is still kept
    edit(app, "v4")
    app.ask("deploy")
    edit(app, "v5")
    app.ask("deploy")
    assert ask(app, first)[0] == 404


def test_a_collect_that_fails_is_taken_back_and_can_write_nowhere_else(app: Served) -> None:
    before = app.look()
    words = "touch settings.py ../x /srv/shop/releases/y; id -un; echo in > staticfiles/a; exit 3"
    edit(app, "bad", {**STATIC, "collect": ["sh", "-c", words]})
    with app.traffic(named(app)) as load:
        receipt = app.ask("deploy", code=1)
    demand_no_loss(load)
    evidence = receipt["error"]["evidence"]
    assert receipt["error"]["kind"] == "static"
    assert evidence.count("cannot touch") == 3
    assert evidence.endswith("\nshop")
    assert app.look().record == before.record


def test_after_a_reboot_nginx_serves_them_as_before(app: Served) -> None:
    path = named(app)
    app.host.reboot()

    def served() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return ask(app, path)[0] == http.HTTPStatus.OK
        return False

    until(served, 60, "nginx serving")
    assert app.host.run("readlink", f"{SOCKETS}/front/static").out.endswith("/staticfiles\n")


def test_a_place_that_nginx_was_not_set_up_for_is_refused(app: Served) -> None:
    before = app.record()
    edit(app, "v6", {**STATIC, "url": "/assets/"})
    refused = app.ask("deploy", code=3)
    assert refused["error"]["message"] == "nginx was not set up to serve static files at /assets/."
    assert app.record() == before


@pytest.mark.soak
def test_what_a_later_setup_has_nginx_serve_stays_served_once_the_standby_ends() -> None:
    """The keeper began before that setup."""
    with begun(None) as (app, _):
        edit(app, "v2", standby="2s")
        setup(app, "--yes")
        app.ask("deploy")
        assert app.record().get("standby")
        until(lambda: app.record().get("standby") is None, 60, "the end of the standby")
        assert ask(app, named(app))[:2] == (200, content_of("v2"))
