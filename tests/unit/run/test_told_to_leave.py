"""TERM is heard by a gthread worker whatever it does just then; one that missed it served on."""

from __future__ import annotations

import signal
from types import FrameType

from segue.run.gate.gunicorn_wsgi import _outlive_master


class Worker:
    """As Gunicorn's, told to leave in the middle of its look for the master."""

    def __init__(self) -> None:
        self.alive = True

    def handle_exit(self, _number: int, _frame: FrameType | None) -> None:
        self.alive = False

    def is_parent_alive(self) -> bool:
        signal.raise_signal(signal.SIGTERM)
        return True


def test_term_that_comes_while_it_looks_for_its_master() -> None:
    worker = Worker()
    _outlive_master(worker)
    before = signal.signal(signal.SIGTERM, worker.handle_exit)
    try:
        assert not worker.is_parent_alive()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not worker.alive
