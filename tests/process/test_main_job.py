"""The main job: deploys and rollbacks in a row under every kind of traffic, and not one request is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.main_job import main_job
from tests.support.table import SERVERS

servers = pytest.mark.parametrize("server", SERVERS)


@pytest.mark.parametrize("server", ["sync", "uvicorn"])
@pytest.mark.timeout(600)
def test_deploys_and_a_rollback_in_a_row_lose_nothing(tmp_path: Path, server: str) -> None:
    """Three deploys with 3 s of import, then one rollback."""
    main_job(tmp_path / "project", server, deploys=3, rollbacks=1)


@servers
@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_ten_deploys_and_three_rollbacks_in_a_row_lose_nothing(tmp_path: Path, server: str) -> None:
    """Ten deploys with 3 s of import, then three rollbacks."""
    main_job(tmp_path / "project", server, deploys=10, rollbacks=3)
