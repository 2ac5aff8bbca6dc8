"""What `segue status` does without, so that it starts at once."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("heavy", ["pydantic", "rich", "asyncio"])
def test_status_does_not_load_what_is_slow_to_load(heavy: str) -> None:
    program = f"import sys, segue.cli.main, segue.cli.look; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
