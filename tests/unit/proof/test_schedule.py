"""The schedule: fixed, evenly spread, and every kind of request on both sides."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from segue.proof.schedule import Planned, plan_requests
from segue.proof.spec import HIGHEST_RATE, ProbeSpec, Shot

rates = st.floats(0.01, HIGHEST_RATE)
shares = st.floats(0, 1)
shots = st.integers(1, 5).map(lambda number: tuple(Shot(path=f"/{i}") for i in range(number)))


def planned(spec: ProbeSpec, number: int) -> list[Planned]:
    return list(islice(plan_requests(spec), number))


@given(rates, shares, shots)
def test_request_i_leaves_at_i_over_rate(rate: float, share: float, kinds: tuple[Shot, ...]) -> None:
    spec = ProbeSpec("http://a/", rate=rate, keep_alive=share, shots=kinds)
    requests = planned(spec, 100)
    assert [request.number for request in requests] == list(range(100))
    assert [request.at for request in requests] == [i / rate for i in range(100)]
    assert requests == planned(spec, 100)


@given(shares)
def test_the_share_of_kept_alive_requests_is_kept_at_any_length(share: float) -> None:
    kept = 0
    for number, request in enumerate(planned(ProbeSpec("http://a/", keep_alive=share), 200), start=1):
        kept += request.keep_alive
        assert abs(kept - share * number) <= 1


@given(shares, shots)
def test_each_side_takes_the_shots_in_turns(share: float, kinds: tuple[Shot, ...]) -> None:
    requests = planned(ProbeSpec("http://a/", keep_alive=share, shots=kinds), 100)
    for side in (True, False):
        taken = [request.shot for request in requests if request.keep_alive is side]
        assert taken == [kinds[i % len(kinds)] for i in range(len(taken))]
