"""How long to search: short and the same every time, or `make soak`'s long form, with a seed of its own."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

# real disks and sockets: a busy machine is no failure, and fixtures are shared by all examples on purpose
_REAL = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)

settings.register_profile("short", _REAL, max_examples=30, derandomize=True, database=None)
settings.register_profile("long", _REAL, max_examples=1500, print_blob=True)
settings.load_profile(os.environ.get("SEGUE_FUZZ", "short"))
