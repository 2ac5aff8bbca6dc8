"""The table of `make torture`, of which each test tells its row; and how long Hypothesis searches."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from tests.support.page import Page
from tests.support.torture import TOLD, Tell, Told

# Hypothesis searches shortly and the same every time, or in `make soak`'s long form with a seed of its own.
# Real disks and sockets: a busy machine is no failure, and fixtures are shared by all examples on purpose.
_REAL = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)

settings.register_profile("short", _REAL, max_examples=30, derandomize=True, database=None)
settings.register_profile("long", _REAL, max_examples=1500, print_blob=True)
settings.load_profile(os.environ.get("SEGUE_FUZZ", "short"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--page", type=Path, help="write the table of torture there")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # a shell's background job ignores it, and so would every process that a test presses Ctrl-C on
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.option.page is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Page(config.option.page, config.option.markexpr))


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Begins the test's row: `tell(server, what, when)`."""

    def begin(server: str, what: str, when: object) -> Told:
        told = request.node.stash[TOLD] = Told(server, what, str(when))
        return told

    return begin


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if TOLD in item.stash:
        # plain data: it may come from another process
        report.told = asdict(item.stash[TOLD])  # type: ignore[attr-defined]
    return report
