"""Deploys, and crashes of anything at any instant: at rest, the live generation serves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.support.in_memory import Machine

from segue.core.ids import generation_id
from segue.core.record import BEFORE_COMMIT, Phase, Record
from segue.deploy.apply import apply_record
from segue.deploy.converge import Drain, Go, Start, converge, wanted

STEPS = st.sampled_from(range(8))


def do(work: Awaitable[object]) -> None:
    """Carry out `work`, which never waits in memory."""

    async def run() -> None:
        await work

    asyncio.run(run())


class Deploys(RuleBasedStateMachine):
    """An executor that may die between any two of its actions, and a machine on which anything may end."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine()
        self.record = Record()
        self.committed: list[str] = []
        self.started = 0
        self.at_rest = True

    @precondition(lambda self: self.at_rest)
    @rule()
    def begin(self) -> None:
        self.started += 1
        self.record = self.record.begin(generation_id("20261121T013455-8c1f2e9", self.started))
        self.at_rest = False

    @precondition(lambda self: self.record.candidate is not None and self.record.phase is not Phase.WATCH)
    @rule(died_after=st.none() | STEPS)
    def next_phase(self, died_after: int | None) -> None:
        self.record = self.record.at(BEFORE_COMMIT[BEFORE_COMMIT.index(self.record.phase) + 1])
        self.apply(died_after)

    @precondition(lambda self: self.record.phase is Phase.WATCH)
    @rule(died_after=st.none() | STEPS)
    def commit(self, died_after: int | None) -> None:
        self.record = self.record.commit()
        assert self.record.live is not None
        self.committed.append(self.record.live)
        self.apply(died_after)

    @precondition(lambda self: not self.at_rest)
    @rule(died_after=st.none() | STEPS)
    def come_to_rest(self, died_after: int | None) -> None:
        """The end of a deploy, its failure, and its executor's successor are one path."""
        self.record = self.record.settle()
        self.at_rest = self.apply(died_after)

    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        alive = sorted(self.machine.observe())
        if alive:
            self.machine.crash(data.draw(st.sampled_from(alive)))
            self.at_rest = False

    def apply(self, died_after: int | None) -> bool:
        """Converge, or a part of it; whether the executor lived to see its end."""
        actions = converge(self.record, self.machine.observe())
        if died_after is None or died_after >= len(actions):
            do(apply_record(self.record, self.machine))
            return True
        for action in actions[:died_after]:
            name = action.generation
            match action:
                case Start():
                    do(self.machine.spawn(name))
                case Go():
                    self.machine.go(name)
                case Drain():
                    do(self.machine.drain(name))
                case _:
                    do(self.machine.discard(name))
        return False

    @invariant()
    def live_is_what_was_committed_last(self) -> None:
        assert self.record.live == (self.committed[-1] if self.committed else None)

    @invariant()
    def live_alone_serves_at_rest(self) -> None:
        if self.at_rest:
            assert self.machine.observe() == wanted(self.record)
            assert self.machine.serving() == set(self.committed[-1:])

    @invariant()
    def no_user_reaches_a_candidate_before_the_switch(self) -> None:
        if self.record.phase in (Phase.BUILD, Phase.IMPORT, Phase.MIGRATE, Phase.BOOT, Phase.READY):
            assert self.record.candidate not in self.machine.serving()

    def teardown(self) -> None:
        self.come_to_rest(None)
        self.live_alone_serves_at_rest()


TestDeploys = Deploys.TestCase
TestDeploys.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
