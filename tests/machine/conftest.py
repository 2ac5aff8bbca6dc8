"""Tests on real hosts: each of them is marked `machine`."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.support.far import far
from tests.support.machine.host import RUNNING, Host, booted

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.machine)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With what failed, the journals of its hosts."""
    report = yield
    if report.failed:
        for host in RUNNING:
            report.sections.append((f"journal of {host.address}", host.last_words()))
    return report


@pytest.fixture
def host() -> Iterator[Host]:
    """A new host, near."""
    with booted() as made:
        yield made


@pytest.fixture
def far_host() -> Iterator[Host]:
    """A new host, 40 ms away."""
    with far() as way, booted(way) as made:
        yield made
