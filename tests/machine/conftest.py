"""Tests on real hosts. Each of them is marked `machine`, and skipped where there can be no lab."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.support.far import far
from tests.support.machine.host import Host, booted
from tests.support.machine.layers import layers, unfit

HERE = Path(__file__).parent
HOSTS = pytest.StashKey[list[Host]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.machine)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failed test, the journals of its hosts."""
    report = yield
    if report.when == "call" and report.failed:
        for host in item.stash.get(HOSTS, []):
            report.sections.append((f"journal of {host.address}", host.last_words()))
    return report


@pytest.fixture(scope="session")
def lab() -> None:
    """The layers of every host; or why there are none here."""
    if reason := unfit():
        pytest.skip(f"no lab: {reason}")
    layers()


@pytest.fixture
def host(lab: None, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A new host, near."""
    with booted() as made:
        request.node.stash[HOSTS] = [made]
        yield made


@pytest.fixture
def far_host(lab: None, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A new host, 40 ms away."""
    with far() as way, booted(way) as made:
        request.node.stash[HOSTS] = [made]
        yield made
