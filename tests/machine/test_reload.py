"""`segue reload --unit` of services that people made by hand: nobody notices."""

from __future__ import annotations

import pytest
from tests.support.machine.hand_made import DJANGO_UNIT, HOME, KINDS, UNIT, HandMade, hand_made
from tests.support.site import demand_no_loss
from tests.support.table import often

IMPORT_SECONDS = 1.0


def reload_often(service: HandMade, times: int) -> None:
    """Reload it that often under load, each time with new code; nobody notices."""
    master = service.main_pid()
    with service.traffic() as load:
        for number in range(2, times + 2):
            old = service.workers()
            service.write_app(f"v{number}", service.kind.folder, import_seconds=IMPORT_SECONDS)
            receipt = service.demand_reloaded()
            assert receipt["strategy"] == "roll"
            assert set(receipt["proof"]["workers"]) == service.workers()
            assert not service.workers() & old
            assert service.answer() == f"v{number}"
            assert receipt["lost"]["by_probe"] == 0
    demand_no_loss(load)
    assert service.main_pid() == master
    assert service.bad_answers() == []
    assert service.host.show(UNIT, "NRestarts") == {"NRestarts": "0"}


@pytest.mark.parametrize("kind", often(KINDS, "unix"))
def test_reloads_lose_nothing(kind: str) -> None:
    with hand_made(KINDS[kind]) as service:
        reload_often(service, 2)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_many_reloads_lose_nothing(kind: str) -> None:
    with hand_made(KINDS[kind]) as service:
        reload_often(service, 10)


def release_often(service: HandMade, times: int) -> None:
    """The same with a folder for each release, and the link that leads to it."""
    with service.traffic() as load:
        for number in range(2, times + 2):
            release = f"{HOME}/releases/v{number}"
            service.write_app(f"v{number}", release, import_seconds=IMPORT_SECONDS)
            receipt = service.demand_reloaded("--release", release)
            assert (receipt["strategy"], receipt["release"]) == ("roll", release)
            assert receipt["lost"]["by_probe"] == 0
            assert service.answer() == f"v{number}"
    demand_no_loss(load)
    assert service.bad_answers() == []


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [2, 10])
def test_releases_of_django_lose_nothing(times: int) -> None:
    with hand_made(DJANGO_UNIT, "django") as service:
        release_often(service, times)
