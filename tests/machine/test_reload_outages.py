"""The outages that `systemctl reload` makes, each shown; `segue reload` refuses them, or does it well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.support.bad import demand_good_error, demand_shown
from tests.support.machine.hand_made import (
    APP,
    ENV_FILE,
    GUNICORN,
    HOME,
    KINDS,
    RELEASES,
    SEGUE,
    STALE,
    UNIT,
    HandMade,
    hand_made,
)
from tests.support.site import demand_no_loss, until

CONFIG = f"{APP}/gunicorn.conf.py"
BIND = "--bind unix:/run/shop/shop.sock"
SLOW, STALL = 4.0, 2500
REFUSED = 3


@pytest.fixture(scope="module")
def service() -> Iterator[HandMade]:
    with hand_made(KINDS["unix"]) as made:
        yield made


@pytest.fixture(autouse=True)
def as_it_was(service: HandMade) -> None:
    """Version `v1`, on the plain unit."""
    service.host.run("rm", "-f", CONFIG, ENV_FILE)
    service.write_app("v1")
    service.write_unit()
    service.start()


@contextmanager
def unnoticed(service: HandMade) -> Iterator[None]:
    """Nobody notices the block, and it leaves master and workers as they are."""
    before = (service.main_pid(), service.workers(), service.answer())
    with service.traffic() as load:
        yield
    demand_no_loss(load)
    assert (service.main_pid(), service.workers(), service.answer()) == before


def refused(service: HandMade, code: int, kind: str, *words: str) -> dict[str, Any]:
    """What a reload says that must come to nothing, to machines and to people."""
    with unnoticed(service):
        told = service.reload(*words, "--json")
        shown = service.reload(*words)
    assert (told.code, shown.code) == (code, code), told.out + told.err
    error: dict[str, Any] = told.document["error"]
    assert error["kind"] == kind, error
    demand_good_error(error)
    if code == REFUSED:  # else there are times and pids in what its log said
        demand_shown(error, shown.err)
    return error


def pid_of_segue(service: HandMade) -> str:
    """The one that reloads it."""
    return service.host.run("pgrep", "--full", f"{SEGUE} reload").out.split()[0]


def has_shadow(service: HandMade) -> bool:
    """Whether one boots."""
    units = service.host.run("systemctl", "list-units", "--no-legend", "--plain", "segue-reload-*").out
    return "running" in units


def ends_the_master(service: HandMade) -> None:
    """`systemctl reload` reports success, and then the site is down."""
    master = service.main_pid()
    with service.traffic() as load:
        service.host.run("systemctl", "reload", UNIT)
        until(lambda: service.main_pid() != master, 30, "the master's end")
        until(lambda: "50" in service.answer()[:200] or service.answer() == "", 10, "an outage")
        until(lambda: load.so_far()["failed"], what="a loss")
    assert load.lost > 0


def test_code_that_does_not_import(service: HandMade) -> None:
    service.write_app("v2", added="import paymnets")
    error = refused(service, 1, "boot")
    assert "paymnets" in error["evidence"]
    ends_the_master(service)


@pytest.mark.soak
def test_settings_that_can_not_be_read(service: HandMade) -> None:
    service.host.write(CONFIG, "workers = = 2\n")
    error = refused(service, 1, "gunicorn_config")
    assert "SyntaxError" in error["evidence"]
    ends_the_master(service)


def test_code_that_is_not_healthy(service: HandMade) -> None:
    service.write_app("v2", check="500")
    error = refused(service, 1, "check")
    assert "500" in error["evidence"]
    service.host.run("systemctl", "reload", UNIT)
    until(lambda: service.answer("/healthz") == "unhealthy", 30, "the bad code, live")


@pytest.mark.soak
def test_an_import_that_takes_long(service: HandMade) -> None:
    service.write_app("v2", import_seconds=SLOW)
    with service.traffic() as load:
        service.host.run("systemctl", "reload", UNIT)
        until(lambda: service.answer() == "v2", 30, "the new code")
    assert load.report["latency_ms"]["max"] > STALL
    service.write_app("v3", import_seconds=SLOW)
    with service.traffic() as load:
        receipt = service.demand_reloaded()
    demand_no_loss(load)
    assert service.answer() == "v3"
    assert receipt["traffic"]["latency_ms"]["max"] < STALL
    assert load.report["spoilt"] or load.report["latency_ms"]["max"] < STALL / 2


@pytest.mark.soak
def test_an_app_that_the_master_has_in_memory(service: HandMade) -> None:
    service.write_unit(f"{GUNICORN} --preload --workers 2 {BIND} wsgi:app")
    service.start()
    service.write_app("v2")
    refused(service, 3, "preload")
    old = service.workers()
    service.host.run("systemctl", "reload", UNIT)
    until(lambda: not service.workers() & old, 30, "new workers")
    assert service.answer() == "v1"


def test_an_environment_that_was_changed(service: HandMade) -> None:
    service.host.write(ENV_FILE, "SHOP_COLOUR=red\nSHOP_SECRET=s3cret-of-the-shop\n", mode=0o600)
    service.write_unit(extra=f"EnvironmentFile={ENV_FILE}")
    service.start()
    service.host.write(ENV_FILE, "SHOP_COLOUR=blue\nSHOP_SECRET=s3cret-of-the-shop\n", mode=0o600)
    error = refused(service, 3, "env_changed")
    assert "SHOP_COLOUR" in error["evidence"]
    assert "SHOP_SECRET" not in error["evidence"]
    old = service.workers()
    service.host.run("systemctl", "reload", UNIT)
    until(lambda: not service.workers() & old, 30, "new workers")
    (worker, *_) = service.workers()
    assert "SHOP_COLOUR=red" in service.host.read(f"/proc/{worker}/environ")


@pytest.mark.soak
def test_a_unit_that_was_edited(service: HandMade) -> None:
    service.write_unit(f"{GUNICORN} --workers 3 {BIND} wsgi:app")
    refused(service, 3, "unit_changed")


@pytest.mark.soak
def test_a_module_of_the_apps_that_the_master_holds(service: HandMade) -> None:
    service.host.write(f"{APP}/colours.py", "COLOUR = 'red'\n")
    service.host.write(CONFIG, "import colours\n")
    service.start()
    service.host.write(f"{APP}/colours.py", "COLOUR = 'blue'\n")
    error = refused(service, 3, "held")
    assert "colours" in error["evidence"]


@pytest.mark.soak
def test_settings_that_were_changed_are_read_where_the_stall_is_accepted(service: HandMade) -> None:
    service.write_unit(f"{GUNICORN} {BIND} wsgi:app")
    service.host.write(CONFIG, "workers = 2\n")
    service.start()
    service.host.write(CONFIG, "workers = 3\n")
    service.write_app("v2")
    refused(service, 3, "config")
    receipt = service.demand_reloaded("--accept-stall")
    assert receipt["strategy"] == "hup"
    assert len(service.workers()) == 3
    assert service.answer() == "v2"
    # they are read now: the next reload is a roll again
    service.write_app("v3")
    assert service.demand_reloaded()["strategy"] == "roll"


def test_who_is_not_root_is_told_what_it_takes(service: HandMade) -> None:
    with unnoticed(service):
        argv = (SEGUE, "reload", "--unit", UNIT)
        done = service.host.run(*argv, user="deploy", check=False)
    assert done.code == 3
    assert "root" in done.err
    assert "hint: sudo" in done.err


@pytest.mark.soak
def test_a_dry_run_says_what_would_be_loaded(service: HandMade) -> None:
    service.host.write(ENV_FILE, "SHOP_SECRET=s3cret-of-the-shop\n", mode=0o600)
    service.write_unit(extra=f"EnvironmentFile={ENV_FILE}")
    service.start()
    service.write_app("v2")
    with unnoticed(service):
        document = service.reload("--dry-run", "--json").document
        shown = service.reload("--dry-run")
    assert document["loads"]["from"] == f"{APP}/wsgi.py"
    assert document["runs"]["folder"] == APP
    assert any("wsgi.py" in text for text in document["differs"])
    assert "SHOP_SECRET" in shown.out
    assert "s3cret-of-the-shop" not in shown.out + shown.err + str(document)


@pytest.mark.soak
def test_a_reload_that_is_killed_is_put_right_by_the_next(service: HandMade) -> None:
    service.write_app("v2", import_seconds=SLOW)
    with service.traffic() as load:
        asker = service.host.start(SEGUE, "reload", "--unit", UNIT, "--check", "/healthz")
        until(lambda: len(service.workers()) > 2, 60, "a new worker")
        service.host.run("kill", "-KILL", pid_of_segue(service))
        asker.communicate(timeout=20)
        service.write_app("v3")
        receipt = service.demand_reloaded()
    demand_no_loss(load)
    assert len(service.workers()) == 2
    assert service.answer() == "v3"
    assert any("cut short" in note for note in receipt["notes"])


@pytest.mark.soak
def test_ctrl_c_takes_it_back_until_new_workers_are_asked_for(service: HandMade) -> None:
    service.write_app("v2", import_seconds=SLOW)
    old = service.workers()
    with service.traffic() as load:
        asker = service.host.start(SEGUE, "reload", "--unit", UNIT, "--check", "/healthz", "--json")
        until(lambda: has_shadow(service), 60, "the shadow")
        service.host.run("kill", "-INT", pid_of_segue(service))
        out, _ = asker.communicate(timeout=60)
        assert asker.returncode == 130, out
        assert service.workers() == old
        asker = service.host.start(SEGUE, "reload", "--unit", UNIT, "--check", "/healthz", "--json")
        until(lambda: len(service.workers()) > 2, 60, "a new worker")
        service.host.run("kill", "-INT", pid_of_segue(service))
        out, _ = asker.communicate(timeout=60)
    demand_no_loss(load)
    assert asker.returncode == 0, out
    assert service.answer() == "v2"
    assert not service.workers() & old


@pytest.mark.soak
def test_nginx_is_reloaded_and_seen_to_be(service: HandMade) -> None:
    with service.traffic() as load:
        done = service.host.run(SEGUE, "reload", "--nginx", "--json")
        assert "new workers took over" in done.document["nginx"]
        service.host.write("/etc/nginx/conf.d/bad.conf", "nonsense;\n")
        broken = service.host.run(SEGUE, "reload", "--nginx", check=False)
        service.host.run("rm", "/etc/nginx/conf.d/bad.conf")
    assert broken.code == REFUSED
    assert "nonsense" in broken.err
    demand_no_loss(load)


@pytest.mark.soak
def test_a_link_that_gunicorn_does_not_follow() -> None:
    with hand_made(STALE) as stale:
        stale.write_app("v2", f"{HOME}/releases/v2")
        stale.lead("v2")
        refused(stale, 3, "stale")
        old = stale.workers()
        stale.host.run("systemctl", "reload", UNIT)
        until(lambda: not stale.workers() & old, 30, "new workers")
        assert stale.answer() == "v1"


@pytest.mark.soak
def test_a_release_is_led_to_and_taken_back() -> None:
    with hand_made(RELEASES) as service:
        releases = f"{HOME}/releases"
        service.write_app("v2", f"{releases}/v2")
        service.write_app("bad", f"{releases}/bad", check="500")
        link = f"{HOME}/current"
        with service.traffic() as load:
            receipt = service.demand_reloaded("--release", f"{releases}/v2")
            assert (service.answer(), service.host.run("readlink", link).out.strip()) == (
                "v2",
                f"{releases}/v2",
            )
            assert receipt["release"] == f"{releases}/v2"
            refused(service, 1, "check", "--release", f"{releases}/bad")
            assert service.host.run("readlink", link).out.strip() == f"{releases}/v2"
            service.demand_reloaded("--release", f"{releases}/v1")
            assert service.answer() == "v1"
        demand_no_loss(load)
