"""Strategies for records that a deploy can leave behind, and for anything that may stand beside them."""

from __future__ import annotations

from hypothesis import strategies as st

from segue.core.record import BEFORE_COMMIT, HOLDING, Phase, Record
from segue.deploy.converge import Standing

GENERATIONS = tuple(f"20261121T0134{second:02d}-8c1f2e9.{second}" for second in range(1, 8))
STRANGERS = tuple(f"20250101T0000{second:02d}-0000000.1" for second in range(3))


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A record after any number of deploys, taken back, committed or in the middle."""
    record = Record()
    for generation in draw(st.lists(st.sampled_from(GENERATIONS), unique=True, max_size=4)):
        record = record.settle()
        if draw(st.integers(0, 9)) == 0:
            record = record.retire()
        record = record.begin(generation)
        for phase in BEFORE_COMMIT[1 : draw(st.integers(1, len(BEFORE_COMMIT)))]:
            record = record.at(phase)
        if record.phase is Phase.WATCH and draw(st.booleans()):
            record = record.commit(standby=draw(st.booleans()))
    return record.settle() if draw(st.integers(0, 3)) == 0 else record


@st.composite
def observed_beside(draw: st.DrawFn, record: Record) -> dict[str, Standing]:
    """Any standing of anything, strangers included; but a candidate goes only when the record says so."""
    standing = draw(
        st.dictionaries(st.sampled_from((*GENERATIONS, *STRANGERS)), st.sampled_from(Standing), max_size=6)
    )
    if record.phase in HOLDING and record.candidate in standing:
        standing[record.candidate] = draw(st.sampled_from((Standing.HELD, Standing.LEAVING)))
    return standing
